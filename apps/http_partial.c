/* Answering a part of what there is (RFC 9110 14, 15.3.7, 15.5.17): one range as it is, several as
 * multipart/byteranges, none that can be as 416. */
#define _GNU_SOURCE 1
#include "http_conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void boundary_make(char out[33])
{
	unsigned char random[16] = {0};

	/* [2046 5.1.1] it must not occur in what it separates: 128 random bits do not */
	(void)tg_host_random(random, sizeof random);
	for (size_t i = 0; i < sizeof random; i++) {
		snprintf(out + 2 * i, 3, "%02x", (unsigned)random[i]);
	}
}

static uint64_t part_make(struct http_part *p, const char *boundary, const struct http_range *range,
	const struct http_reply *r)
{
	int n = snprintf(p->text, sizeof p->text,
		"\r\n--%s\r\nContent-Type: %s\r\nContent-Range: bytes %llu-%llu/%llu\r\n\r\n",
		boundary, r->type, (unsigned long long)range->first,
		(unsigned long long)range->last, (unsigned long long)r->total_bytes);

	p->text_bytes = (uint32_t)n;
	p->off_bytes = range->first;
	p->length_bytes = range->last - range->first + 1;
	return p->text_bytes + p->length_bytes;
}

/* [9110 14.6] false: no memory, and all of it is sent */
static bool multipart(const struct http_range *ranges, int n, struct http_reply *r)
{
	struct http_parts *all = calloc(1, sizeof *all);
	struct http_part *end;
	char boundary[33];
	uint64_t sum = 0;

	if (all == NULL) {
		return false;
	}
	boundary_make(boundary);
	for (int i = 0; i < n; i++) {
		sum += part_make(&all->part[i], boundary, &ranges[i], r);
	}
	end = &all->part[n];
	end->text_bytes =
		(uint32_t)snprintf(end->text, sizeof end->text, "\r\n--%s--\r\n", boundary);
	all->n = (uint32_t)n + 1;
	snprintf(all->type, sizeof all->type, "multipart/byteranges; boundary=%s", boundary);
	r->parts = all;
	r->type = all->type;
	r->length_bytes = sum + end->text_bytes;
	return true;
}

static void not_satisfiable(struct http_reply *r)
{
	uint64_t total = r->length_bytes;

	http_reply_free(r);
	http_reply_status(r, 416);
	r->total_bytes = total;
	r->ranges = true;
}

void http_partial(
	struct http_server *h, const struct http_request *q, const char *head, struct http_reply *r)
{
	struct http_current there = {true, r->etag[0] != '\0' ? r->etag : NULL, r->modified};
	struct http_range ranges[HTTP_RANGES_MAX];
	const char *v;
	size_t bytes;
	int n;

	if (!http_cond_range(q, head, &there, http_now_s(h)) ||
		!http_field_only(q, head, HTTP_F_RANGE, &v, &bytes)) {
		return;
	}
	n = http_range_parse(v, bytes, r->length_bytes, ranges);
	if (n == HTTP_RANGE_IGNORE) {
		return;
	}
	if (n == 0) {
		not_satisfiable(r);
		return;
	}
	r->total_bytes = r->length_bytes;
	if (n > 1) {
		r->status = multipart(ranges, n, r) ? 206 : 200;
		return;
	}
	r->status = 206;
	r->off_bytes = ranges[0].first;
	r->length_bytes = ranges[0].last - ranges[0].first + 1;
}
