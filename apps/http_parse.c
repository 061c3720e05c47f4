/* Reading HTTP/1.x requests: RFC 9112 sections 2.2, 3, 5, 6; RFC 9110 5.5, 5.6, 7.2, 10.1.1. A line
 * ends with LF or CR LF, as 9112 2.2 allows and typing into netcat needs; a CR anywhere else is
 * refused. Whatever two readers could understand differently is refused: see http_parse.h for what
 * is left out. */
#include "http_parse.h"

#include <string.h>
#include <strings.h>

/* [9110 5.6.2] tchar: a bit for each character. */
static const uint32_t token_bits[8] = {
	0x00000000, /* controls */
	0x03ff6cfa, /* ! # $ % & ' * + - . 0-9 */
	0xc7fffffe, /* A-Z ^ _ */
	0x57ffffff, /* ` a-z | ~ */
};

bool http_is_token(unsigned char ch)
{
	return (token_bits[ch / 32] >> ch % 32 & 1) != 0;
}

static bool is_digit(char ch)
{
	return ch >= '0' && ch <= '9';
}

static bool span_is(const char *p, size_t n, const char *word)
{
	return strlen(word) == n && strncasecmp(p, word, n) == 0;
}

/* [9110 9.1] names of methods are case-sensitive */
static uint8_t method_of(const char *p, size_t n)
{
	static const struct {
		char name[8];
		uint8_t method;
	} known[] = {{"GET", HTTP_GET}, {"HEAD", HTTP_HEAD}, {"POST", HTTP_POST}, {"PUT", HTTP_PUT},
		{"DELETE", HTTP_DELETE}, {"OPTIONS", HTTP_OPTIONS}, {"TRACE", HTTP_NOT_ALLOWED},
		{"CONNECT", HTTP_NOT_ALLOWED}, {"PATCH", HTTP_NOT_ALLOWED}};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (n == strlen(known[i].name) && memcmp(p, known[i].name, n) == 0) {
			return known[i].method;
		}
	}
	return HTTP_UNKNOWN;
}

/* Bytes of the token at p, of at most n. */
static size_t token_bytes(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && http_is_token((unsigned char)p[i])) {
		i++;
	}
	return i;
}

/* [9112 2.3] "HTTP/" DIGIT "." DIGIT */
static int version_parse(struct http_request *r, const char *p, size_t n)
{
	if (n != 8 || memcmp(p, "HTTP/", 5) != 0 || !is_digit(p[5]) || p[6] != '.' ||
		!is_digit(p[7])) {
		return 400;
	}
	if (p[5] != '1') {
		return 505;
	}
	r->minor = p[7] == '0' ? 0 : 1;
	return 0;
}

/* [9112 3] method SP request-target SP HTTP-version. off: where the line is in the head. */
static int request_line(struct http_request *r, const char *line, size_t n, uint32_t off)
{
	size_t method = token_bytes(line, n);
	size_t target = method + 1, end = target;

	if (method == 0 || method >= n || line[method] != ' ') {
		return 400;
	}
	while (end < n && line[end] > 0x20 && line[end] < 0x7f) {
		end++;
	}
	if (end == target || end >= n || line[end] != ' ') {
		return 400;
	}
	r->method = method_of(line, method);
	r->method_start_bytes = off;
	r->method_bytes = (uint32_t)method;
	r->target_start_bytes = off + (uint32_t)target;
	r->target_bytes = (uint32_t)(end - target);
	return version_parse(r, line + end + 1, n - end - 1);
}

/* [9112 6.3] 1*DIGIT and nothing else, once: a list or a repetition is a smuggler's tool. */
static int content_length(struct http_request *r, const char *v, size_t n)
{
	uint64_t sum = 0;

	if (n == 0 || r->has_length) {
		return 400;
	}
	for (size_t i = 0; i < n; i++) {
		if (!is_digit(v[i]) || sum > (UINT64_MAX - 9) / 10) {
			return 400;
		}
		sum = sum * 10 + (uint64_t)(v[i] - '0');
	}
	r->has_length = true;
	r->content_length = sum;
	return 0;
}

/* [9110 7.6.1] a list of options, of which three matter. */
static void connection(struct http_request *r, const char *v, size_t n)
{
	size_t i = 0;

	while (i < n) {
		size_t len;

		while (i < n && (v[i] == ' ' || v[i] == '\t' || v[i] == ',')) {
			i++;
		}
		len = token_bytes(v + i, n - i);
		r->says_close = r->says_close || span_is(v + i, len, "close");
		r->says_keep_alive = r->says_keep_alive || span_is(v + i, len, "keep-alive");
		r->says_upgrade = r->says_upgrade || span_is(v + i, len, "upgrade");
		i += len;
		while (i < n && v[i] != ',') {
			i++;
		}
	}
}

/* In no host name or address, nor the port behind it: the printable ones among them. */
static bool ends_host(char ch)
{
	switch (ch) {
	case '/':
	case '?':
	case '#':
	case '@':
	case '\\':
	case ',':
	case '"':
	case '<':
	case '>': return true;
	default: return ch <= 0x20 || ch >= 0x7f;
	}
}

/* [9110 7.2] host [ ":" port ], which may be empty; no blank or user information in it. */
static int host(struct http_request *r, const char *v, size_t n)
{
	if (r->has_host) {
		return 400;
	}
	for (size_t i = 0; i < n; i++) {
		if (ends_host(v[i])) {
			return 400;
		}
	}
	r->has_host = true;
	return 0;
}

static int transfer_encoding(struct http_request *r, const char *v, size_t n)
{
	if (r->has_encoding) {
		return 400;
	}
	r->has_encoding = true;
	r->chunked = span_is(v, n, "chunked");
	return 0;
}

/* Fields that only some requests care about are noted here and looked up again there. */
static const struct {
	const char *name;
	uint8_t bytes;
} noted[HTTP_F_COUNT] = {
#define X(NAME, text) {text, sizeof text - 1},
	HTTP_FIELD_LIST(X)
#undef X
};

static void note(struct http_request *r, enum http_field field)
{
	r->repeated |= r->present & 1u << field;
	r->present |= 1u << field;
}

static void note_name(struct http_request *r, const char *name, size_t n)
{
	for (unsigned i = 0; i < HTTP_F_COUNT; i++) {
		if (n == noted[i].bytes && strncasecmp(name, noted[i].name, n) == 0) {
			note(r, (enum http_field)i);
			return;
		}
	}
}

static void expect(struct http_request *r, const char *v, size_t n)
{
	bool known = span_is(v, n, "100-continue");

	r->expects_continue = r->expects_continue || known;
	r->expects_other = r->expects_other || !known;
}

static int field_meaning(
	struct http_request *r, const char *name, size_t name_n, const char *v, size_t n)
{
	if (name_n == 4 && span_is(name, name_n, "host")) {
		note(r, HTTP_F_HOST);
		return host(r, v, n);
	}
	if (name_n == 6 && span_is(name, name_n, "expect")) {
		expect(r, v, n);
	} else if (name_n == 10 && span_is(name, name_n, "connection")) {
		connection(r, v, n);
	} else if (name_n == 14 && span_is(name, name_n, "content-length")) {
		return content_length(r, v, n);
	} else if (name_n == 17 && span_is(name, name_n, "transfer-encoding")) {
		return transfer_encoding(r, v, n);
	} else {
		note_name(r, name, name_n);
	}
	return 0;
}

/* [9112 5] name ":" OWS value OWS */
static int field_line(struct http_request *r, const char *line, size_t n)
{
	size_t name = token_bytes(line, n), v = name + 1;

	/* [9112 5.1, 5.2] no name, a blank before the colon, or a folded line: refused */
	if (name == 0 || name >= n || line[name] != ':') {
		return 400;
	}
	while (v < n && (line[v] == ' ' || line[v] == '\t')) {
		v++;
	}
	while (n > v && (line[n - 1] == ' ' || line[n - 1] == '\t')) {
		n--;
	}
	for (size_t i = v; i < n; i++) {
		unsigned char ch = (unsigned char)line[i];

		if ((ch < 0x20 && ch != '\t') || ch == 0x7f) { /* [9110 5.5] */
			return 400;
		}
	}
	if (++r->n_fields > HTTP_FIELDS_MAX) {
		return 431;
	}
	return field_meaning(r, line, name, line + v, n - v);
}

/* The blank line has come: do the fields agree with one another? */
static int head_end(const struct http_request *r)
{
	if (r->minor > 0 && !r->has_host) { /* [9112 3.2] */
		return 400;
	}
	if (r->has_encoding && (r->has_length || r->minor == 0)) { /* [9112 6.1, 6.3] */
		return 400;
	}
	if (r->has_encoding && !r->chunked) { /* [9112 6.1] */
		return 501;
	}
	return HTTP_DONE;
}

static int one_line(struct http_request *r, const char *line, size_t n, uint32_t off)
{
	if (r->has_line) {
		return n == 0 ? head_end(r) : field_line(r, line, n);
	}
	if (n == 0) {
		return ++r->blank_lines > HTTP_BLANK_LINES_MAX ? 400 : 0;
	}
	r->has_line = true;
	return request_line(r, line, n, off);
}

/* The line from r->line_bytes on, bytes long so far, may be too long. */
static int limits(const struct http_request *r, const char *head, size_t bytes)
{
	if (r->has_line) {
		size_t all = r->line_bytes + bytes - r->fields_start_bytes;

		return all > HTTP_FIELDS_MAX_BYTES ? 431 : 0;
	}
	if (bytes > HTTP_LINE_MAX_BYTES) {
		const char *line = head + r->line_bytes;
		size_t method = token_bytes(line, bytes);

		return method > 0 && method < bytes && line[method] == ' ' ? 414 : 400;
	}
	return 0;
}

int http_parse(struct http_request *r, const char *head, size_t n)
{
	for (;;) {
		const char *lf = NULL;
		size_t end, len;
		int rc;

		if (n > r->seen_bytes) {
			lf = memchr(head + r->seen_bytes, '\n', n - r->seen_bytes);
		}
		end = lf != NULL ? (size_t)(lf - head) : n;
		rc = limits(r, head, end - r->line_bytes);
		if (rc != 0) {
			return rc;
		}
		if (lf == NULL) {
			r->seen_bytes = (uint32_t)n;
			return HTTP_MORE;
		}
		len = end - r->line_bytes;
		if (len > 0 && head[end - 1] == '\r') {
			len--;
		}
		rc = one_line(r, head + r->line_bytes, len, r->line_bytes);
		r->line_bytes = r->seen_bytes = (uint32_t)end + 1;
		if (r->n_fields == 0) {
			r->fields_start_bytes = r->line_bytes;
		}
		if (rc != 0) {
			return rc;
		}
	}
}

bool http_request_persists(const struct http_request *r)
{
	if (r->says_close) {
		return false;
	}
	return r->minor > 0 || r->says_keep_alive;
}

int http_hex_value(char ch)
{
	if (is_digit(ch)) {
		return ch - '0';
	}
	ch = (char)(ch | 0x20);
	return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

bool http_field_next(const struct http_request *r, const char *head, enum http_field field,
	size_t *at, const char **value, size_t *n)
{
	size_t i = *at == 0 ? r->fields_start_bytes : *at;

	while (i < r->line_bytes) {
		const char *line = head + i, *lf = memchr(line, '\n', r->line_bytes - i);
		size_t len = lf != NULL ? (size_t)(lf - line) : r->line_bytes - i;
		size_t name = token_bytes(line, len), v = name + 1;

		i += len + 1;
		if (name != noted[field].bytes || strncasecmp(line, noted[field].name, name) != 0) {
			continue;
		}
		while (v < len && (line[v] == ' ' || line[v] == '\t')) {
			v++;
		}
		while (len > v &&
			(line[len - 1] == ' ' || line[len - 1] == '\t' || line[len - 1] == '\r')) {
			len--;
		}
		*value = line + v;
		*n = len - v;
		*at = i;
		return true;
	}
	return false;
}

bool http_field_only(const struct http_request *r, const char *head, enum http_field field,
	const char **value, size_t *n)
{
	size_t at = 0;

	return http_has(r, field) && (r->repeated & 1u << field) == 0 &&
	       http_field_next(r, head, field, &at, value, n);
}

/* Skips the scheme and authority of the absolute form [9112 3.2.2]; SIZE_MAX: neither form. */
static size_t path_start(const char *t, size_t n)
{
	size_t i = 7;

	if (n > 0 && t[0] == '/') {
		return 0;
	}
	if (n < 8 || strncasecmp(t, "http://", 7) != 0) {
		return SIZE_MAX;
	}
	while (i < n && t[i] != '/' && t[i] != '?') {
		i++;
	}
	return i == 7 ? SIZE_MAX : i;
}

/* Is there a segment that is ".."? */
static bool climbs(const char *path)
{
	for (const char *p = path; *p != '\0'; p++) {
		if (p[0] == '/' && p[1] == '.' && p[2] == '.' && (p[3] == '\0' || p[3] == '/')) {
			return true;
		}
	}
	return false;
}

/* Bytes of the target at t that the path has as they are. */
static size_t plain_bytes(const char *t, size_t n)
{
	size_t i = 0;

	while (i < n && t[i] != '?' && t[i] != '#' && t[i] != '%') {
		i++;
	}
	return i;
}

int http_path_decode(const char *target, size_t n, char *out, size_t cap)
{
	size_t i = path_start(target, n), o = 0;

	if (i == SIZE_MAX || cap < 2) {
		return -400;
	}
	if (i == n || target[i] == '?') {
		out[o++] = '/';
	}
	while (i < n && target[i] != '?') {
		size_t plain = plain_bytes(target + i, n - i);
		int hi, lo, ch;

		if (o + plain >= cap) {
			return -400;
		}
		memcpy(out + o, target + i, plain);
		o += plain;
		i += plain;
		if (i == n || target[i] == '?') {
			break;
		}
		hi = i + 2 < n ? http_hex_value(target[i + 1]) : -1;
		lo = i + 2 < n ? http_hex_value(target[i + 2]) : -1;
		ch = target[i] == '#' || hi < 0 || lo < 0 ? 0 : hi << 4 | lo;
		if (ch < 0x20 || ch == 0x7f || ch == '/' || o + 1 >= cap) {
			return -400;
		}
		out[o++] = (char)ch;
		i += 3;
	}
	out[o] = '\0';
	return climbs(out) ? -400 : (int)o;
}
