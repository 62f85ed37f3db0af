# SPDX-License-Identifier: Apache-2.0
# The package for Node: files as they are, where Debian's node looks.
option(BREAKERD_INSTALL_NODE "Install the package for Node" OFF)
set(BREAKERD_NODE_DIR share/nodejs CACHE STRING
    "Where it goes, below the prefix")
if(BREAKERD_INSTALL_NODE)
    install(DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/node/
        DESTINATION ${BREAKERD_NODE_DIR}/breakerd-client COMPONENT node
        FILES_MATCHING PATTERN *.js PATTERN *.d.ts PATTERN package.json
        PATTERN node_modules EXCLUDE)
endif()
