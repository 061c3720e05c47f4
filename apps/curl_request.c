/* URLs, requests and reports of `tapglass curl`: RFC 9112 3 for the request, RFC 3986 as far as
 * literal IPv4 hosts need it. */
#define _GNU_SOURCE 1
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "curl.h"

#define EXPECT_ABOVE_BYTES (1u << 20) /* smaller bodies are not worth waiting for a 100 */

/* ---- URLs ------------------------------------------------------------------------------------ */

static bool url_clean(const char *p)
{
	for (; *p != '\0'; p++) {
		if ((unsigned char)*p <= ' ' || *p == 0x7f) {
			return false;
		}
	}
	return true;
}

static int host_parse(struct curl_opt *o, const char *p, size_t n, char why[200])
{
	const char *colon = memchr(p, ':', n);
	size_t host = colon != NULL ? (size_t)(colon - p) : n;
	char text[64];
	uint64_t port = 80;

	snprintf(text, sizeof text, "%.*s", (int)(host < 63 ? host : 63), p);
	if (!tg_ip_parse(text, &o->addr.ip) || tg_ip4_value(&o->addr.ip) == 0) {
		snprintf(why, 200, "\"%s\" is a name: only addresses like 192.0.2.1 are understood",
			text);
		return CURL_E_NAME;
	}
	if (colon != NULL && host + 1 < n) {
		snprintf(text, sizeof text, "%.*s", (int)(n - host - 1 < 63 ? n - host - 1 : 63),
			colon + 1);
		if (!parse_u64(text, 1, 65535, &port)) {
			snprintf(why, 200, "\"%s\" is not a port, 1 to 65535", text);
			return CURL_E_URL;
		}
	}
	o->addr.port = (uint16_t)port;
	return 0;
}

int curl_url_parse(struct curl_opt *o, char why[200])
{
	const char *p = o->url, *sep = strstr(p, "://"); /* of a query it may be, too */
	size_t scheme = sep != NULL ? (size_t)(sep - p) : 0, host;

	if (!url_clean(p) || *p == '\0') {
		snprintf(why, 200, "a URL has no blanks or control characters");
		return CURL_E_URL;
	}
	if (p[0] != '/' && sep != NULL && scheme < strcspn(p, "/?#")) {
		if (scheme != 4 || strncasecmp(p, "http", 4) != 0) {
			snprintf(why, 200, "\"%.*s\" is not supported: http is all there is",
				(int)(scheme < 20 ? scheme : 20), p);
			return CURL_E_PROTOCOL;
		}
		p = sep + 3;
	}
	o->addr.port = 80;
	host = strcspn(p, "/?#");
	if (p[0] != '/' || p != o->url) {
		int rc = host_parse(o, p, host, why);

		if (rc != 0) {
			return rc;
		}
		p += host;
	}
	o->path = p;
	o->path_bytes = strcspn(p, "#");
	return 0;
}

/* path: cut to what is in front of its last part. */
static void write_base(FILE *f, const struct curl_opt *o, bool whole_path)
{
	size_t n = strcspn(o->path, "?#");
	char where[24];

	fprintf(f, "http://%s", format_addr(&o->addr, where));
	while (!whole_path && n > 0 && o->path[n - 1] != '/') {
		n--;
	}
	fprintf(f, "%s%.*s", n == 0 || o->path[0] != '/' ? "/" : "", (int)n, o->path);
}

char *curl_url_join(const struct curl_opt *o, const char *to, size_t n)
{
	char *text = NULL, where[24];
	size_t bytes;
	FILE *f = open_memstream(&text, &bytes);
	size_t scheme = 0;

	if (f == NULL) {
		return NULL;
	}
	while (scheme < n && strchr(":/?#", to[scheme]) == NULL) {
		scheme++;
	}
	if (scheme > 0 && scheme < n && to[scheme] == ':') {
		/* whole */
	} else if (n > 1 && to[0] == '/' && to[1] == '/') {
		fputs("http:", f);
	} else if (n > 0 && to[0] == '/') {
		fprintf(f, "http://%s", format_addr(&o->addr, where));
	} else {
		write_base(f, o, n == 0 || to[0] == '?' || to[0] == '#');
	}
	fwrite(to, 1, n, f);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

size_t curl_url_name(const struct curl_opt *o, const char **name)
{
	size_t n = strcspn(o->path, "?#"), at = n;

	while (at > 0 && o->path[at - 1] != '/') {
		at--;
	}
	*name = o->path + at;
	n -= at;
	return (n == 1 && **name == '.') || (n == 2 && memcmp(*name, "..", 2) == 0) || n > 200 ? 0
											       : n;
}

/* ---- Requests -------------------------------------------------------------------------------- */

bool curl_data_files(const struct curl_opt *o)
{
	for (size_t i = 0; i < o->n_data; i++) {
		if (o->data_kind[i] != 'r' && o->data[i][0] == '@') {
			return true;
		}
	}
	return false;
}

const char *curl_method(const struct curl *c)
{
	const struct curl_opt *o = &c->opt;

	return o->method != NULL   ? o->method
	       : c->no_body        ? "GET"
	       : o->head           ? "HEAD"
	       : o->upload != NULL ? "PUT"
	       : o->n_data > 0     ? "POST"
				   : "GET";
}

/* Did the user say something about the field? "Name: value", "Name;" (empty), "Name:" (none) */
static bool own_field(const struct curl_opt *o, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < o->n_field; i++) {
		if (strncasecmp(o->field[i], name, n) == 0 &&
			strchr(":;", o->field[i][n]) != NULL && o->field[i][n] != '\0') {
			return true;
		}
	}
	return false;
}

static void own_fields(FILE *f, const struct curl_opt *o)
{
	for (size_t i = 0; i < o->n_field; i++) {
		const char *p = o->field[i];
		size_t name = strcspn(p, ":;");
		const char *v = p + name + (p[name] != '\0' ? 1 : 0);

		v += strspn(v, " \t");
		if (p[name] == ';') {
			fprintf(f, "%.*s:\r\n", (int)name, p);
		} else if (*v != '\0') {
			fprintf(f, "%.*s: %s\r\n", (int)name, p, v);
		}
	}
}

static void body_fields(FILE *f, struct curl *c, uint64_t data_bytes)
{
	const struct curl_opt *o = &c->opt;
	bool large = c->has_upload && !c->no_body &&
		     (c->upload_chunked || c->upload_bytes > EXPECT_ABOVE_BYTES);

	c->upload_go = true;
	if (c->no_body) {
		return;
	}
	if (o->n_data > 0 && !own_field(o, "Content-Type")) {
		fprintf(f, "Content-Type: application/x-www-form-urlencoded\r\n");
	}
	if (c->has_upload && c->upload_chunked) {
		fprintf(f, "Transfer-Encoding: chunked\r\n");
	} else if (c->has_upload || o->n_data > 0) {
		fprintf(f, "Content-Length: %" PRIu64 "\r\n",
			c->has_upload ? c->upload_bytes : data_bytes);
	}
	/* [9110 10.1.1] asks first whether a large body is wanted */
	c->upload_go = !large || own_field(o, "Expect");
	if (!c->upload_go) {
		fprintf(f, "Expect: 100-continue\r\n");
	}
}

bool curl_request_make(struct curl *c)
{
	const struct curl_opt *o = &c->opt;
	size_t n_data = c->has_upload || c->no_body ? 0 : o->n_data;
	uint64_t data_bytes = n_data > 0 ? n_data - 1 : 0;
	FILE *f = open_memstream(&c->request, &c->request_bytes);
	char host[24];

	if (f == NULL) {
		return false;
	}
	for (size_t i = 0; i < n_data; i++) {
		data_bytes += strlen(o->data[i]);
	}
	fprintf(f, "%s %s%.*s HTTP/1.1\r\n", curl_method(c), o->path[0] == '/' ? "" : "/",
		(int)o->path_bytes, o->path);
	if (!own_field(o, "Host")) {
		fprintf(f, "Host: %s\r\n",
			o->addr.port == 80 ? tg_ip_format(&o->addr.ip, host)
					   : format_addr(&o->addr, host));
	}
	if (!own_field(o, "User-Agent") && (o->agent == NULL || o->agent[0] != '\0')) {
		fprintf(f, "User-Agent: %s\r\n",
			o->agent != NULL ? o->agent : "tapglass/" TAPGLASS_VERSION);
	}
	if (!own_field(o, "Accept")) {
		fprintf(f, "Accept: */*\r\n");
	}
	if (!own_field(o, "Connection")) { /* [9112 9.6] there will be no other request */
		fprintf(f, "Connection: close\r\n");
	}
	body_fields(f, c, data_bytes);
	own_fields(f, o);
	fprintf(f, "\r\n");
	fflush(f);
	c->request_head_bytes = c->request_bytes;
	for (size_t i = 0; i < n_data; i++) {
		fprintf(f, "%s%s", i > 0 ? "&" : "", o->data[i]);
	}
	return fclose(f) == 0;
}

/* ---- Reports --------------------------------------------------------------------------------- */

static double seconds(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns && from_ns != 0 ? (double)(to_ns - from_ns) / 1e9 : 0;
}

#define WRITE_OUT_LIST(X)                                                                          \
	X("http_code", "%03u", c->http_code)                                                       \
	X("response_code", "%03u", c->http_code)                                                   \
	X("size_download", "%" PRIu64, c->down_bytes)                                              \
	X("size_upload", "%" PRIu64, c->up_bytes)                                                  \
	X("size_header", "%" PRIu64, c->head_bytes)                                                \
	X("size_request", "%zu", c->request_head_bytes)                                            \
	X("time_total", "%.6f", seconds(c->start_ns, c->end_ns))                                   \
	X("time_connect", "%.6f", seconds(c->start_ns, c->connected_ns))                           \
	X("time_starttransfer", "%.6f", seconds(c->start_ns, c->first_ns))                         \
	X("speed_download", "%.0f", down)                                                          \
	X("remote_ip", "%s", tg_ip_format(&c->opt.addr.ip, ip))                                    \
	X("remote_port", "%u", (unsigned)c->opt.addr.port)                                         \
	X("local_ip", "%s", tg_ip_format(&c->local.ip, ip))                                        \
	X("local_port", "%u", (unsigned)c->local.port)                                             \
	X("method", "%s", curl_method(c))                                                          \
	X("url", "%s", c->opt.url)                                                                 \
	X("num_redirects", "%u", (unsigned)c->n_redirs)                                            \
	X("url_effective", "%s", c->opt.url)                                                       \
	X("content_type", "%.*s", (int)c->head.type_bytes, c->head.text + c->head.type_at)         \
	X("exitcode", "%d", status)

/* The variable at p; its length, 0: there is none of that name. f NULL: only asks. */
static size_t variable(FILE *f, const struct curl *c, int status, const char *p)
{
	size_t n = strcspn(p, "}");
	char ip[16];
	double s, down;

	if (f == NULL) {
#define X(name, ...)                                                                               \
	if (n == sizeof name - 1 && memcmp(p, name, n) == 0) {                                     \
		return p[n] == '}' ? n : 0;                                                        \
	}
		WRITE_OUT_LIST(X)
#undef X
		return 0;
	}
	s = seconds(c->start_ns, c->end_ns);
	down = s > 0 ? (double)c->down_bytes / s : 0;
#define X(name, ...)                                                                               \
	if (n == sizeof name - 1 && memcmp(p, name, n) == 0) {                                     \
		fprintf(f, __VA_ARGS__);                                                           \
	}
	WRITE_OUT_LIST(X)
#undef X
	return n;
}

bool curl_write_out_check(const char *p)
{
	for (; (p = strstr(p, "%")) != NULL; p++) {
		if (p[1] == '%') {
			p++;
		} else if (p[1] == '{' && variable(NULL, NULL, 0, p + 2) == 0) {
			return false;
		}
	}
	return true;
}

char *curl_write_out(const struct curl *c, int status, size_t *bytes)
{
	static const char escapes[] = "n\nr\rt\t\\\\";
	char *text = NULL;
	FILE *f = open_memstream(&text, bytes);
	const char *e;

	if (f == NULL) {
		return NULL;
	}
	for (const char *p = c->opt.write_out; *p != '\0'; p++) {
		if (p[0] == '%' && p[1] == '{') {
			p += 2 + variable(f, c, status, p + 2);
		} else if (p[0] == '%' && p[1] == '%') {
			putc(*++p, f);
		} else if (p[0] == '\\' && p[1] != '\0' && (e = strchr(escapes, p[1])) != NULL &&
			   (e - escapes) % 2 == 0) {
			putc(e[1], f);
			p++;
		} else {
			putc(*p, f);
		}
	}
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
