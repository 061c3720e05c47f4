/* Conditional requests (RFC 9110 13): preconditions in their order, and If-Range. Pure. */
#ifndef TAPGLASS_HTTP_COND_H
#define TAPGLASS_HTTP_COND_H

#include "http_parse.h"

#define HTTP_NO_DATE INT64_MIN

/* What there is now at the target. */
struct http_current {
	bool exists;
	const char *etag;   /* an entity-tag with its quotes; NULL: none */
	int64_t modified_s; /* HTTP_NO_DATE: unknown */
};

/* Compares an entity-tag with one in a field: strong [9110 8.8.3.2] both must be strong, weak. */
bool http_etag_equal(const char *etag, const char *p, size_t n, bool strong);

/* [9110 13.2.2] steps 1 to 4: 0 go on, 304 or 412. r and head: the request, with which the answer
 * without preconditions would be a success. now_s: for dates with two digits of year. */
int http_cond(const struct http_request *r, const char *head, const struct http_current *now_there,
	int64_t now_s);
/* [9110 13.2.2] step 5: whether Range counts. */
bool http_cond_range(const struct http_request *r, const char *head,
	const struct http_current *now_there, int64_t now_s);

#endif
