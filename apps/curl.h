/* `tapglass curl`: what its files share. curl.c: the command line and the files; curl_request.c:
 * the URL, what is sent, what -w prints; curl_run.c: the connection; curl_head.c: what comes back.
 */
#ifndef TAPGLASS_APPS_CURL_H
#define TAPGLASS_APPS_CURL_H

#include "curl_head.h"
#include "http_chunk.h"
#include "in.h"
#include "job.h"

#define CURL_FIELDS_OWN_MAX 64u    /* -H */
#define CURL_CHUNK_BYTES    32768u /* of an upload of unknown length */

/* Exit statuses, curl's own. */
enum {
	CURL_E_PROTOCOL = 1,
	CURL_E_URL = 3,
	CURL_E_NAME = 6,
	CURL_E_CONNECT = 7,
	CURL_E_REPLY = 8,
	CURL_E_PARTIAL = 18,
	CURL_E_HTTP = 22,
	CURL_E_WRITE = 23,
	CURL_E_READ = 26,
	CURL_E_TIMEOUT = 28,
	CURL_E_REDIRECTS = 47,
	CURL_E_EMPTY = 52,
	CURL_E_SEND = 55,
	CURL_E_RECV = 56,
	CURL_E_REWIND = 65,
};

/* What was asked for; texts are argv's. */
struct curl_opt {
	struct options common;
	const char *url, *method, *upload, *output, *write_out;
	const char *data[CURL_FIELDS_OWN_MAX], *field[CURL_FIELDS_OWN_MAX];
	char data_kind[CURL_FIELDS_OWN_MAX]; /* 'd'; 'b': binary; 'r': raw, @ means nothing */
	const char *agent;
	size_t n_data, n_field;
	bool head, remote_name, include, verbose, silent, show_error, fail, location;
	uint32_t max_redirs;
	uint64_t max_ns, connect_ns; /* 0: endless */
	/* from the URL */
	struct tg_addr addr; /* address all zero: the URL was a path */
	const char *path;    /* from the slash on; may lack that before '?' */
	size_t path_bytes;
};

enum curl_phase {
	CURL_CONNECTING,
	CURL_HEADING,  /* until the head of the final response */
	CURL_BODY,     /* until its end */
	CURL_FLUSHING, /* the file takes its time */
	CURL_OVER,
};

struct curl {
	struct curl_opt opt;
	struct job *job;
	struct tg *s;
	tg_sock sock;
	enum curl_phase phase;
	int status; /* when flushed */
	bool retry, more;

	/* sending */
	char *request; /* head and -d */
	size_t request_bytes, request_head_bytes, sent_bytes;
	bool has_upload, upload_go, upload_done, upload_chunked, send_failed;
	uint64_t upload_bytes; /* still to be sent, unless chunked */
	uint64_t upload_all_bytes;
	int64_t upload_at; /* in the file */
	struct in in;
	char chunk[CURL_CHUNK_BYTES + 16];
	size_t chunk_at, chunk_bytes;

	/* after a redirection */
	char *url; /* where it led, which opt's texts point into; NULL: none */
	uint32_t n_redirs;
	bool no_body, redirect; /* 303 and the like: GET; this response leads elsewhere */

	/* receiving */
	struct curl_head head;
	enum curl_framing framing;
	struct http_chunk chunks;
	uint64_t left_bytes;
	bool has_file, file_watched, file_begun;
	struct out file;

	/* what -w tells */
	uint64_t start_ns, connected_ns, first_ns, end_ns, patience_ns; /* patience: for 100 */
	uint64_t down_bytes, up_bytes, head_bytes;
	unsigned http_code; /* 0: none */
	struct tg_addr local;
};

/* curl_request.c */

/* Fills in addr, path of o->url. 0, or the exit status and why. */
int curl_url_parse(struct curl_opt *o, char why[200]);
/* The URL that `to` means, seen from o's: RFC 3986 5.2. The caller's; NULL: no memory. */
char *curl_url_join(const struct curl_opt *o, const char *to, size_t n);
/* Is the body in a file that is passed along, as of -d @FILE? */
bool curl_data_files(const struct curl_opt *o);
/* Last part of the path, for -O; its length, 0: there is none that could name a file. */
size_t curl_url_name(const struct curl_opt *o, const char **name);
bool curl_write_out_check(const char *format);
/* Builds c->request; false: out of memory. */
bool curl_request_make(struct curl *c);
/* The text of -w; NULL: out of memory. */
char *curl_write_out(const struct curl *c, int status, size_t *bytes);
const char *curl_method(const struct curl *c);

/* curl_run.c */

/* Opens the connection; the rest happens in the rounds. */
void curl_begin(struct curl *c, uint64_t now_ns);
uint64_t curl_round(struct job *j, uint64_t now_ns);
/* Ends it with a message. */
void curl_fail(struct curl *c, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
