/* Conditional requests: RFC 9110 13.1.1 to 13.1.5, 13.2.2, 8.8.2, 8.8.3. */
#include "http_cond.h"

#include "http_date.h"

#include <string.h>

/* [9110 8.8.3] bytes of the entity-tag at p; 0: there is none */
static size_t etag_bytes(const char *p, size_t n)
{
	size_t i = n >= 2 && p[0] == 'W' && p[1] == '/' ? 2 : 0;

	if (i >= n || p[i] != '"') {
		return 0;
	}
	for (i++; i < n && p[i] != '"'; i++) {
		unsigned char ch = (unsigned char)p[i];

		if (ch < 0x21 || ch == 0x7f) {
			return 0;
		}
	}
	return i < n ? i + 1 : 0;
}

bool http_etag_equal(const char *etag, const char *p, size_t n, bool strong)
{
	bool weak_a = etag[0] == 'W', weak_b = n > 0 && p[0] == 'W';
	const char *a = weak_a ? etag + 2 : etag;

	if (strong && (weak_a || weak_b)) {
		return false;
	}
	p += weak_b ? 2 : 0;
	n -= weak_b ? 2 : 0;
	return strlen(a) == n && memcmp(a, p, n) == 0;
}

/* Is etag in this list? What is malformed matches nothing from there on. */
static bool list_has(const char *etag, const char *p, size_t n, bool strong)
{
	size_t i = 0;

	while (i < n) {
		size_t k;

		while (i < n && (p[i] == ' ' || p[i] == '\t' || p[i] == ',')) {
			i++;
		}
		k = etag_bytes(p + i, n - i);
		if (k == 0) {
			return false;
		}
		if (http_etag_equal(etag, p + i, k, strong)) {
			return true;
		}
		i += k;
	}
	return false;
}

/* Does If-Match or If-None-Match name what is there? */
static bool names(const struct http_request *r, const char *head, enum http_field field,
	const struct http_current *c, bool strong)
{
	const char *v;
	size_t at = 0, n;

	while (http_field_next(r, head, field, &at, &v, &n)) {
		if (n == 1 && v[0] == '*') {
			return c->exists;
		}
		if (c->exists && c->etag != NULL && list_has(c->etag, v, n, strong)) {
			return true;
		}
	}
	return false;
}

/* The date in a field; false: not there, repeated, or no date: the field is ignored. */
static bool date_of(const struct http_request *r, const char *head, enum http_field field,
	int64_t now_s, int64_t *out)
{
	const char *v;
	size_t n;

	return http_field_only(r, head, field, &v, &n) && http_date_parse(v, n, now_s, out);
}

int http_cond(
	const struct http_request *r, const char *head, const struct http_current *c, int64_t now_s)
{
	bool safe = r->method == HTTP_GET || r->method == HTTP_HEAD;
	bool dated = c->exists && c->modified_s != HTTP_NO_DATE;
	int64_t date;

	if (http_has(r, HTTP_F_IF_MATCH)) { /* [9110 13.2.2] step 1 */
		if (!names(r, head, HTTP_F_IF_MATCH, c, true)) {
			return 412;
		}
	} else if (dated && date_of(r, head, HTTP_F_IF_UNMODIFIED_SINCE, now_s, &date) &&
		   c->modified_s > date) { /* step 2 */
		return 412;
	}
	if (http_has(r, HTTP_F_IF_NONE_MATCH)) { /* step 3 */
		if (names(r, head, HTTP_F_IF_NONE_MATCH, c, false)) {
			return safe ? 304 : 412;
		}
	} else if (safe && dated && date_of(r, head, HTTP_F_IF_MODIFIED_SINCE, now_s, &date) &&
		   c->modified_s <= date) { /* step 4 */
		return 304;
	}
	return 0;
}

bool http_cond_range(
	const struct http_request *r, const char *head, const struct http_current *c, int64_t now_s)
{
	const char *v;
	int64_t date;
	size_t n;

	if (r->method != HTTP_GET || !http_has(r, HTTP_F_RANGE)) { /* [9110 14.2] */
		return false;
	}
	if (!http_has(r, HTTP_F_IF_RANGE)) {
		return true;
	}
	if (!http_field_only(r, head, HTTP_F_IF_RANGE, &v, &n)) {
		return false;
	}
	if (etag_bytes(v, n) == n && n > 0) {
		return c->etag != NULL && http_etag_equal(c->etag, v, n, true);
	}
	/* [9110 13.1.5, 8.8.2.2] a date counts if it is exactly ours, and ours was not made in the
	 * second in which it is compared */
	return http_date_parse(v, n, now_s, &date) && c->modified_s != HTTP_NO_DATE &&
	       date == c->modified_s && c->modified_s < now_s;
}
