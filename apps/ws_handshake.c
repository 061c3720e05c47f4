/* The opening handshake of WebSockets: RFC 6455 4.2.1, 4.2.2, 10.2. No extension and no subprotocol
 * is ever agreed on. */
#include "ws_handshake.h"

#include <string.h>
#include <strings.h>

#include "sha1.h"

#define KEY_BYTES 24u

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void base64(const uint8_t *p, size_t n, char *out)
{
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) |
			     (i + 2 < n ? p[i + 2] : 0);

		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
		*out++ = i + 2 < n ? digits[v & 63] : '=';
	}
	*out = '\0';
}

/* [6455 4.1] 16 bytes in base64 */
static bool is_key(const char *p, size_t n)
{
	if (n != KEY_BYTES || p[22] != '=' || p[23] != '=') {
		return false;
	}
	for (size_t i = 0; i < 22; i++) {
		if (p[i] == '\0' || strchr(digits, p[i]) == NULL) {
			return false;
		}
	}
	return true;
}

static bool list_has(const char *v, size_t n, const char *word)
{
	size_t i = 0, len = strlen(word);

	while (i < n) {
		size_t start, end;

		while (i < n && (v[i] == ' ' || v[i] == '\t' || v[i] == ',')) {
			i++;
		}
		start = i;
		while (i < n && v[i] != ',') {
			i++;
		}
		for (end = i; end > start && (v[end - 1] == ' ' || v[end - 1] == '\t'); end--) {
		}
		if (end - start == len && strncasecmp(v + start, word, len) == 0) {
			return true;
		}
	}
	return false;
}

/* [9110 7.8] does the client want to become a WebSocket? */
static bool wants(const struct http_request *q, const char *head)
{
	const char *v;
	size_t at = 0, n;

	if (q->minor == 0 || !q->says_upgrade) {
		return false;
	}
	while (http_field_next(q, head, HTTP_F_UPGRADE, &at, &v, &n)) {
		if (list_has(v, n, "websocket")) {
			return true;
		}
	}
	return false;
}

/* An IPv4 or IPv6 address, or a name without dots; port cut off. */
static bool is_local_name(const char *host, size_t n)
{
	bool dots = false, letters = false;
	size_t i;

	if (n > 0 && host[0] == '[') {
		return true;
	}
	for (i = 0; i < n && host[i] != ':'; i++) {
		dots = dots || host[i] == '.';
		letters = letters || ((host[i] < '0' || host[i] > '9') && host[i] != '.');
	}
	return i > 0 && (!dots || !letters);
}

bool ws_origin_ok(const char *origin, size_t n, const char *host, size_t host_n)
{
	const char *end = memchr(origin, ':', n);
	size_t scheme = end != NULL ? (size_t)(end - origin) : n;

	if (n < scheme + 3 || memcmp(origin + scheme, "://", 3) != 0 || scheme == 0) {
		return false; /* "null", and what is no origin */
	}
	origin += scheme + 3;
	n -= scheme + 3;
	return n == host_n && strncasecmp(origin, host, n) == 0 && is_local_name(host, host_n);
}

/* [6455 10.2] programs say no Origin and are served; pages of browsers always do */
static bool may_open(const struct http_request *q, const char *head)
{
	const char *origin, *host;
	size_t n, host_n;

	if (!http_has(q, HTTP_F_ORIGIN)) {
		return true;
	}
	return http_field_only(q, head, HTTP_F_ORIGIN, &origin, &n) &&
	       http_field_only(q, head, HTTP_F_HOST, &host, &host_n) &&
	       ws_origin_ok(origin, n, host, host_n);
}

int ws_handshake(const struct http_request *q, const char *head, char accept[WS_ACCEPT_BYTES])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* [6455 1.3] */
	char text[KEY_BYTES + sizeof guid];
	uint8_t hash[SHA1_BYTES];
	const char *v;
	size_t n;

	if (!wants(q, head)) {
		return 426;
	}
	if (q->chunked || q->content_length > 0 ||
		!http_field_only(q, head, HTTP_F_WS_VERSION, &v, &n)) {
		return 400;
	}
	if (n != 2 || memcmp(v, "13", 2) != 0) { /* [6455 4.4] */
		return 426;
	}
	if (!http_field_only(q, head, HTTP_F_WS_KEY, &v, &n) || !is_key(v, n)) {
		return 400;
	}
	if (!may_open(q, head)) {
		return 403;
	}
	memcpy(text, v, KEY_BYTES);
	memcpy(text + KEY_BYTES, guid, sizeof guid);
	sha1(text, KEY_BYTES + sizeof guid - 1, hash);
	base64(hash, sizeof hash, accept);
	return 101;
}
