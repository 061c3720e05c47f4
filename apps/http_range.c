/* Reading the Range field (RFC 9110 14.1.1, 14.1.2, 14.2): bytes only. */
#include "http_range.h"

#include <stdbool.h>
#include <strings.h>

#define OVERLAPS_MAX 2 /* [9110 14.2] more are somebody's attempt to have it sent many times */

struct reader {
	const char *p;
	size_t n, at;
};

static bool at_digit(const struct reader *r)
{
	return r->at < r->n && r->p[r->at] >= '0' && r->p[r->at] <= '9';
}

/* 1*DIGIT; what does not fit is a very large number. */
static bool number(struct reader *r, uint64_t *out)
{
	if (!at_digit(r)) {
		return false;
	}
	for (*out = 0; at_digit(r); r->at++) {
		*out = *out > UINT64_MAX / 10 - 1 ? UINT64_MAX / 10
						  : *out * 10 + (uint64_t)(r->p[r->at] - '0');
	}
	return true;
}

static bool blank(char ch)
{
	return ch == ' ' || ch == '\t';
}

/* One range. 1: in out, 0: not satisfiable, -1: malformed. */
static int one(struct reader *r, uint64_t length, struct http_range *out)
{
	uint64_t n;

	if (r->at < r->n && r->p[r->at] == '-') { /* the last n bytes */
		r->at++;
		if (!number(r, &n)) {
			return -1;
		}
		out->first = n < length ? length - n : 0;
		out->last = length - 1;
		return n > 0 && length > 0;
	}
	if (!number(r, &out->first) || r->at >= r->n || r->p[r->at++] != '-') {
		return -1;
	}
	if (!at_digit(r)) {
		out->last = length - 1;
		return out->first < length;
	}
	if (!number(r, &out->last) || out->last < out->first) {
		return -1;
	}
	if (out->last >= length) {
		out->last = length - 1;
	}
	return out->first < length;
}

static int overlaps(const struct http_range *all, int n)
{
	int sum = 0;

	for (int i = 1; i < n; i++) {
		for (int j = 0; j < i; j++) {
			sum += all[i].first <= all[j].last && all[j].first <= all[i].last;
		}
	}
	return sum;
}

int http_range_parse(
	const char *v, size_t n, uint64_t length_bytes, struct http_range out[HTTP_RANGES_MAX])
{
	struct reader r = {v, n, 6};
	unsigned specs = 0;
	int found = 0;

	/* an empty representation has no range that Content-Range could express */
	if (n < 6 || strncasecmp(v, "bytes=", 6) != 0 || length_bytes == 0) {
		return HTTP_RANGE_IGNORE;
	}
	while (r.at < r.n) {
		struct http_range range;
		int rc;

		while (r.at < r.n && (blank(v[r.at]) || v[r.at] == ',')) {
			r.at++;
		}
		if (r.at == r.n) {
			break;
		}
		rc = one(&r, length_bytes, &range);
		if (rc < 0 || ++specs > HTTP_RANGES_MAX) {
			return HTTP_RANGE_IGNORE;
		}
		if (rc > 0) {
			out[found++] = range;
		}
		while (r.at < r.n && blank(v[r.at])) {
			r.at++;
		}
		if (r.at < r.n && v[r.at] != ',') {
			return HTTP_RANGE_IGNORE;
		}
	}
	return specs == 0 || overlaps(out, found) > OVERLAPS_MAX ? HTTP_RANGE_IGNORE : found;
}
