/* Dates of HTTP (RFC 9110 5.6.7). Pure. */
#ifndef TAPGLASS_HTTP_DATE_H
#define TAPGLASS_HTTP_DATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_DATE_BYTES 30u /* with the NUL */

/* IMF-fixdate of a time in seconds since 1970, years 1 to 9999; "" outside. */
void http_date_format(int64_t when_s, char buf[HTTP_DATE_BYTES]);
/* Any of the three forms. now_s: decides the century of a year of two digits. False: no date. */
bool http_date_parse(const char *p, size_t n, int64_t now_s, int64_t *out_s);

#endif
