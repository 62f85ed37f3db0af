#ifndef WEB_FILES_H
#define WEB_FILES_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of tools/web, put into the program when it is built. */

extern const char web_index_html[];
extern const char web_style_css[];
extern const char web_app_js[];
extern const char web_icon_svg[];
extern const char web_openapi_yaml[];

#endif
