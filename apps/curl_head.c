/* The head of a response: RFC 9112 sections 2.2, 4, 5.1, 5.2, 6.1 to 6.3. A line ends with LF or CR
 * LF. Lengths that contradict each other are refused, as is a field name with a blank behind it;
 * folded lines are accepted where they mean nothing to us. */
#include "curl_head.h"

#include <string.h>
#include <strings.h>

#include "http_parse.h"

static bool is_digit(char ch)
{
	return ch >= '0' && ch <= '9';
}

/* [9112 4] HTTP-version SP status-code SP [ reason-phrase ]; the last blank is often missing */
static int status_line(struct curl_head *h, const char *p, size_t n)
{
	if (n < 12 || memcmp(p, "HTTP/1.", 7) != 0 || !is_digit(p[7]) || p[8] != ' ') {
		return CURL_HEAD_BAD;
	}
	for (size_t i = 9; i < 12; i++) {
		if (!is_digit(p[i])) {
			return CURL_HEAD_BAD;
		}
		h->status = h->status * 10 + (unsigned)(p[i] - '0');
	}
	h->has_status = true;
	return h->status < 100 || (n > 12 && p[12] != ' ') ? CURL_HEAD_BAD : CURL_HEAD_MORE;
}

static int content_length(struct curl_head *h, const char *v, size_t n)
{
	uint64_t sum = 0;

	if (n == 0 || n > 18) {
		return CURL_HEAD_BAD;
	}
	for (size_t i = 0; i < n; i++) {
		if (!is_digit(v[i])) {
			return CURL_HEAD_BAD;
		}
		sum = sum * 10 + (uint64_t)(v[i] - '0');
	}
	/* [9112 6.3 5.] several that differ make the length unknowable */
	if (h->has_length && sum != h->length) {
		return CURL_HEAD_BAD;
	}
	h->has_length = true;
	h->length = sum;
	return CURL_HEAD_MORE;
}

static bool name_is(const char *p, size_t n, const char *name)
{
	return strlen(name) == n && strncasecmp(p, name, n) == 0;
}

static int field(struct curl_head *h, const char *p, size_t n)
{
	const char *colon = memchr(p, ':', n), *v, *end = p + n;
	size_t name;

	if (++h->n_fields > CURL_FIELDS_MAX) {
		return CURL_HEAD_LONG;
	}
	if (p[0] == ' ' || p[0] == '\t') { /* [9112 5.2] obs-fold */
		return h->n_fields > 1 ? CURL_HEAD_MORE : CURL_HEAD_BAD;
	}
	if (colon == NULL || colon == p) {
		return CURL_HEAD_BAD;
	}
	name = (size_t)(colon - p);
	for (size_t i = 0; i < name; i++) {
		if (!http_is_token((unsigned char)p[i])) {
			return CURL_HEAD_BAD;
		}
	}
	for (v = colon + 1; v < end && (*v == ' ' || *v == '\t'); v++) {
	}
	while (end > v && (end[-1] == ' ' || end[-1] == '\t')) {
		end--;
	}
	n = (size_t)(end - v);
	if (name_is(p, name, "content-length")) {
		return content_length(h, v, n);
	}
	if (name_is(p, name, "transfer-encoding")) {
		/* [9112 6.3 4.] what counts is whether chunked is the last one */
		h->has_encoding = true;
		h->chunked = n >= 7 && strncasecmp(end - 7, "chunked", 7) == 0 &&
			     (n == 7 || end[-8] == ',' || end[-8] == ' ' || end[-8] == '\t');
	} else if (name_is(p, name, "content-type")) {
		h->type_at = (size_t)(v - h->text);
		h->type_bytes = n;
	} else if (name_is(p, name, "location")) {
		h->to_at = (size_t)(v - h->text);
		h->to_bytes = n;
	}
	return CURL_HEAD_MORE;
}

/* A line is complete: n bytes without its end. */
static int line_done(struct curl_head *h, const char *p, size_t n)
{
	if (n > 0 && p[n - 1] == '\r') {
		n--;
	}
	if (memchr(p, '\0', n) != NULL || memchr(p, '\r', n) != NULL) {
		return CURL_HEAD_BAD;
	}
	if (!h->has_status) {
		return status_line(h, p, n);
	}
	return n == 0 ? CURL_HEAD_DONE : field(h, p, n);
}

int curl_head_take(struct curl_head *h, const char *p, size_t n, size_t *taken)
{
	static const char start[] = "HTTP/1.";
	int rc = CURL_HEAD_MORE;
	size_t i;

	for (i = 0; i < n && rc == CURL_HEAD_MORE; i++) {
		if (h->bytes == CURL_HEAD_MAX_BYTES) {
			rc = CURL_HEAD_LONG;
			break;
		}
		/* what is not HTTP at all is known at once */
		if (h->bytes < sizeof start - 1 && p[i] != start[h->bytes]) {
			rc = CURL_HEAD_BAD;
			break;
		}
		h->text[h->bytes++] = p[i];
		if (p[i] == '\n') {
			rc = line_done(h, h->text + h->line_at, h->bytes - 1 - h->line_at);
			h->line_at = h->bytes;
		}
	}
	*taken = i;
	return rc;
}

enum curl_framing curl_head_framing(const struct curl_head *h, bool to_head)
{
	/* [9112 6.3 1.] */
	if (to_head || h->status / 100 == 1 || h->status == 204 || h->status == 304) {
		return CURL_NONE;
	}
	/* [9112 6.3 3., 4.] the coding overrides the length */
	if (h->has_encoding) {
		return h->chunked ? CURL_CHUNKED : CURL_UNTIL_CLOSE;
	}
	return h->has_length ? CURL_LENGTH : CURL_UNTIL_CLOSE;
}
