#ifndef LOG_H
#define LOG_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines on stderr: "breakerd: words". At most LOG_LINES_PER_SECOND a second;
 * what is over is counted and told in one line. Safe from any thread. */
#define LOG_LINES_PER_SECOND 100

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* The least important level shown; starts as LOG_INFO. */
void log_set_level(enum log_level level);
__attribute__((format(printf, 2, 3))) void log_line(enum log_level level,
                                                    const char *format, ...);

#endif
