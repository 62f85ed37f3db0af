# SPDX-License-Identifier: Apache-2.0
# The text for Prometheus, for every program that shows it. Whoever links it brings
# the view of the shared memory (ctl_view.c and what that needs).
add_library(bk_metrics STATIC
    metrics.c metrics_axis.c metrics_compat.c metrics_native.c metrics_process.c)
target_link_libraries(bk_metrics PUBLIC bk_core)
set_target_properties(bk_metrics PROPERTIES C_VISIBILITY_PRESET hidden)
