# SPDX-License-Identifier: Apache-2.0
# The Python package: nothing is built, it finds libbreaker when it is imported.
option(BREAKERD_INSTALL_PYTHON "Install the Python package" OFF)
set(BREAKERD_PYTHON_DIR lib/python3/dist-packages CACHE STRING
    "Where it goes, below the prefix")
if(BREAKERD_INSTALL_PYTHON)
    install(DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/python/breaker
        DESTINATION ${BREAKERD_PYTHON_DIR} COMPONENT python
        FILES_MATCHING PATTERN *.py PATTERN py.typed
        PATTERN __pycache__ EXCLUDE)
endif()
