/* Inside of the HTTP server: connections, replies, and the functions that make replies. */
#ifndef TAPGLASS_HTTP_CONN_H
#define TAPGLASS_HTTP_CONN_H

#include <time.h>

#include "http_parse.h"
#include "http_server.h"

#define HTTP_SCRATCH_BYTES  49152u /* more than HTTP_HEAD_MAX_BYTES */
#define HTTP_REPLY_HEAD_MAX 16384u

enum http_body { HTTP_BODY_MEMORY, HTTP_BODY_PATTERN, HTTP_BODY_FILE };

/* What is answered. */
struct http_reply {
	int status;
	const char *type; /* Content-Type */
	uint8_t body;     /* enum http_body */
	const char *memory;
	char *owned; /* memory to be freed afterwards, or NULL */
	int fd;      /* a file; the reply owns it */
	uint64_t length_bytes;
	time_t modified; /* 0: not said */
	char *location;  /* of a redirection, owned, or NULL */
};

/* What a connection waits for; each has a list in the order of deadlines. */
enum http_timer {
	HTTP_TIMER_NONE,
	HTTP_TIMER_HEAD,
	HTTP_TIMER_IDLE,
	HTTP_TIMER_SEND,
	HTTP_TIMER_LINGER
};
#define HTTP_TIMERS 5

struct http_conn {
	struct svc_conn conn;
	struct http_server *owner;
	struct http_conn *prev, *next; /* in the list of its timer */
	struct http_conn *run_next;    /* in the queue of those whose turn was used up */
	uint64_t deadline_ns;
	uint8_t timer; /* enum http_timer */
	bool queued, sending, lingering;
	bool close_after; /* the reply that is being sent is the last */

	/* Reading. */
	struct http_request req;
	char *stash; /* beginning of an incomplete head, NULL: none */
	uint32_t stash_bytes, stash_cap_bytes;
	uint64_t skip_bytes; /* of a request's body still to be thrown away */

	/* Sending: the head, then left_bytes of the body from off_bytes on. */
	const char *head; /* what of it is not sent: in the server's scratch, or in head_owned */
	char *head_owned;
	uint32_t head_bytes;
	struct http_reply reply;
	uint64_t off_bytes, left_bytes;
};

struct http_list {
	struct http_conn *first, *last;
};

struct http_server {
	struct tg *s;
	struct http_config cfg;
	struct svc_listener listener;
	struct pool conns;
	struct http_list timers[HTTP_TIMERS];
	struct http_conn *run_first, *run_last;
	uint64_t stash_bytes; /* of all connections */
	int www_fd;           /* -1: none */
	time_t date_s;        /* second that date is the text of */
	char date[40];
	char *page;
	size_t page_bytes;
	char scratch[HTTP_SCRATCH_BYTES];
	char head[HTTP_REPLY_HEAD_MAX];
	char path[HTTP_LINE_MAX_BYTES + 1];
	uint8_t pattern[];
};

/* http_reply.c: head and body of replies. */

/* A short text for an error or any other status. */
void http_reply_status(struct http_reply *r, int status);
void http_reply_memory(struct http_reply *r, const char *type, const char *text, size_t n);
void http_reply_free(struct http_reply *r);
/* Begins to send r, of which it takes possession, on c. with_body: false for HEAD. */
void http_reply_start(
	struct http_conn *c, const struct http_reply *r, bool with_body, uint8_t minor);
/* Sends on. 1: everything is queued, 0: its turn is used up, -TG_EAGAIN or another error.
 * *progress: bytes were queued. */
int http_reply_send(struct http_conn *c, uint64_t now_ns, bool *progress);
/* Bytes of h->pattern. */
size_t http_pattern_bytes(void);
void http_pattern_fill(uint8_t *p);

/* http_api.c: what is made up on the spot. False: no such path. */
bool http_api(struct http_server *h, const char *path, struct http_reply *r);
/* The page at /; false: out of memory. */
bool http_page_make(struct http_server *h);

/* http_files.c: a file below the directory. */
int http_files_open(const char *dir);
void http_file(struct http_server *h, const char *path, struct http_reply *r);

#endif
