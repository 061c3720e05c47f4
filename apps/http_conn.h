/* Inside of the HTTP server: connections, replies, and the functions that make replies. */
#ifndef TAPGLASS_HTTP_CONN_H
#define TAPGLASS_HTTP_CONN_H

#include <string.h>
#include <time.h>

#include "http_chunk.h"
#include "http_cond.h"
#include "http_date.h"
#include "http_range.h"
#include "http_server.h"

#define HTTP_SCRATCH_BYTES  49152u /* more than HTTP_HEAD_MAX_BYTES */
#define HTTP_REPLY_HEAD_MAX 24576u /* a redirection repeats the path, encoded */
#define HTTP_ETAG_BYTES     88u
#define HTTP_TEMP_PREFIX    ".tapglass-upload-" /* names of what is being stored */

/* Limits. */
#define HTTP_SKIP_MAX_BYTES   65536u               /* of a body that nobody wants */
#define HTTP_UPLOAD_MAX_BYTES (UINT64_C(16) << 30) /* of one that is stored or echoed */
#define HTTP_UPLOADS_MAX      64u                  /* at once */
#define HTTP_LIST_MAX         4096u                /* names in a listing */
#define HTTP_BODY_MIN_BYTES   1024u /* in each period of the body's timer, else it is too slow */
#define HTTP_SEND_MIN_BYTES   4096u /* the same for replies */
#define HTTP_WS_MAX           4096u /* WebSockets at once */

enum http_body { HTTP_BODY_MEMORY, HTTP_BODY_PATTERN, HTTP_BODY_FILE };

/* The parts of a multipart/byteranges reply [9110 14.6], and the line that ends it. */
#define HTTP_PART_TEXT_BYTES 320u
struct http_part {
	char text[HTTP_PART_TEXT_BYTES];
	uint32_t text_bytes;
	uint64_t off_bytes, length_bytes;
};
struct http_parts {
	uint32_t n, next;
	char type[80]; /* Content-Type of the whole */
	struct http_part part[HTTP_RANGES_MAX + 1];
};

/* What is answered. */
struct http_reply {
	int status;
	const char *type; /* Content-Type; NULL: no content, nor a length */
	uint8_t body;     /* enum http_body */
	bool chunked;     /* the length is not known; the body is sent piece by piece */
	bool ranges;      /* Range is understood here */
	const char *memory;
	char *owned; /* memory to be freed afterwards, or NULL */
	int fd;      /* a file; the reply owns it */
	uint64_t length_bytes;
	uint64_t off_bytes;         /* where in the representation the body begins */
	uint64_t total_bytes;       /* of the representation, with 206 and 416 */
	int64_t modified;           /* s since 1970, or HTTP_NO_DATE */
	char *location;             /* of a redirection, owned, or NULL */
	const char *allow;          /* NULL: not said */
	const char *fields;         /* more lines, each with its CR LF; static or in owned */
	struct http_parts *parts;   /* owned, or NULL */
	char etag[HTTP_ETAG_BYTES]; /* "": none */
};

/* What a connection waits for; each has a list in the order of deadlines. */
enum http_timer {
	HTTP_TIMER_NONE,
	HTTP_TIMER_HEAD,
	HTTP_TIMER_IDLE,
	HTTP_TIMER_BODY,
	HTTP_TIMER_SEND,
	HTTP_TIMER_LINGER,
	HTTP_TIMER_WS
};
#define HTTP_TIMERS 7

enum http_run {
	RUN_ON,    /* there may be more to do */
	RUN_WAIT,  /* for an event */
	RUN_AGAIN, /* its turn is used up */
	RUN_CLOSE,
	RUN_ABORT,
};

/* Where the body of a request goes. */
enum http_sink { HTTP_SINK_NONE, HTTP_SINK_SKIP, HTTP_SINK_ECHO, HTTP_SINK_FILE };

struct http_upload;
struct ws;

/* A request's body that is being read. */
struct http_incoming {
	uint8_t sink; /* enum http_sink */
	bool chunked;
	bool begun; /* of the echo: its head has been sent */
	uint8_t minor;
	struct http_chunk chunk;
	uint64_t left_bytes; /* not chunked: to come */
	uint64_t got_bytes;  /* content so far */
	struct http_upload *upload;
};

struct http_conn {
	struct svc_conn conn;
	struct http_server *owner;
	struct http_conn *prev, *next; /* in the list of its timer */
	struct http_conn *run_next;    /* in the queue of those whose turn was used up */
	uint64_t deadline_ns;
	uint8_t timer; /* enum http_timer */
	bool queued, sending, lingering;
	bool close_after;       /* the reply that is being sent is the last */
	bool ended;             /* the client sends no more: behind what is there comes the end */
	uint64_t moved_bytes;   /* since the timer was set, for those that ask for a pace */
	uint64_t unacked_bytes; /* when it was set; of HTTP_TIMER_SEND */

	/* Reading. */
	struct http_request req;
	char *stash; /* beginning of an incomplete head, NULL: none */
	uint32_t stash_bytes, stash_cap_bytes;
	struct http_incoming in;
	struct ws *ws; /* not NULL: this has become a WebSocket */

	/* Sending: the head, then left_bytes of the body from off_bytes on. */
	const char *head; /* what of it is not sent: shared memory, or in head_owned */
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
	uint64_t start_ns;
	struct svc_listener listener;
	struct pool conns;
	struct http_list timers[HTTP_TIMERS];
	struct http_conn *run_first, *run_last;
	uint64_t stash_bytes; /* of all connections */
	uint32_t uploads;
	uint64_t upload_serial;
	int www_fd;   /* -1: none */
	time_t now_s; /* second that date is the text of */
	char date[HTTP_DATE_BYTES];
	char ok_start[80]; /* what the head of a 200 begins with in this second */
	uint32_t ok_start_bytes;
	char *page;
	size_t page_bytes;
	struct ws_all *ws;
	char scratch[HTTP_SCRATCH_BYTES];
	char head[HTTP_REPLY_HEAD_MAX];
	char path[HTTP_LINE_MAX_BYTES + 1];
	size_t path_bytes;
	uint8_t pattern[];
};

/* The path of the request that is being answered. */
static inline bool http_path_is(const struct http_server *h, const char *path)
{
	return h->path_bytes == strlen(path) && memcmp(h->path, path, strlen(path)) == 0;
}
static inline bool http_path_begins(const struct http_server *h, const char *path)
{
	return h->path_bytes >= strlen(path) && memcmp(h->path, path, strlen(path)) == 0;
}

/* ---- http_conn.c: the life of a connection */

void http_timer_set(struct http_conn *c, enum http_timer timer, uint64_t now_ns);
/* What the client has taken since HTTP_TIMER_SEND was set: there may be no room for more for longer
 * than a period, while it reads all the time. */
uint64_t http_taken(const struct http_conn *c);
void http_run_later(struct http_conn *c);
void http_stash_drop(struct http_conn *c);
/* Keeps n bytes of an incomplete head; false: no memory. */
bool http_stash_put(struct http_conn *c, const char *head, size_t n);
/* Gives up what a connection holds besides its socket. */
void http_conn_drop(struct http_conn *c);
void http_conn_end(struct http_conn *c, bool reset, uint64_t now_ns);
/* Sends what there is to send. RUN_ON: all of it is queued. */
enum http_run http_conn_send(struct http_conn *c, uint64_t now_ns);
/* [9112 9.6] after the last reply: our FIN, then read until the peer's, so that no reset overtakes
 * the reply. */
enum http_run http_conn_linger(struct http_conn *c, uint64_t now_ns);
enum http_run http_conn_drain(struct http_conn *c, uint64_t now_ns);

/* ---- http_answer.c: from request to reply */

/* Answers the request at head, whose fields c->req holds, or begins to read its body. status:
 * HTTP_DONE, or what to refuse it with. */
void http_request_end(struct http_conn *c, int status, const char *head, uint64_t now_ns);
/* Starts a reply to a request whose head is gone. close: the connection ends with it. */
void http_reply_late(struct http_conn *c, struct http_reply *r, bool close, uint64_t now_ns);

/* ---- http_body.c: bodies of requests */

enum http_run http_body_turn(struct http_conn *c, uint64_t now_ns);
/* The body has stopped coming, or cannot be taken: an answer if that is still possible. */
enum http_run http_body_fail(struct http_conn *c, int status, uint64_t now_ns);

/* ---- http_reply.c: head and body of replies */

/* A short text for an error or any other status. */
void http_reply_status(struct http_reply *r, int status);
void http_reply_memory(struct http_reply *r, const char *type, const char *text, size_t n);
/* A status without content: 204, 304. */
void http_reply_bare(struct http_reply *r, int status);
void http_reply_free(struct http_reply *r);
/* Begins to send c->reply. with_body: false for HEAD. */
void http_reply_start(struct http_conn *c, bool with_body, uint8_t minor);
/* Begins to send n bytes that are no complete reply. They are copied if they are in the server's
 * buffers and cannot be queued at once. */
void http_text_start(struct http_conn *c, const char *text, size_t n);
/* Sends on. 1: everything is queued, 0: its turn is used up, -TG_EAGAIN or another error. *sent:
 * bytes queued. */
int http_reply_send(struct http_conn *c, uint64_t now_ns, size_t *sent);
/* The current second. */
int64_t http_now_s(struct http_server *h);
/* Bytes of h->pattern. */
size_t http_pattern_bytes(void);
void http_pattern_fill(uint8_t *p);

/* ---- http_partial.c: Range */

/* Turns a reply that is a success into 206 or 416 if the request's Range counts. */
void http_partial(struct http_server *h, const struct http_request *q, const char *head,
	struct http_reply *r);

/* ---- http_api.c, http_json.c: what is made up on the spot */

/* False: no such path. */
bool http_api(struct http_server *h, struct http_reply *r);
/* Is the path one that http_api, /echo or a WebSocket answers? */
bool http_api_owns(const struct http_server *h);
/* The page at /; false: out of memory. */
bool http_page_make(struct http_server *h);
/* /api/NAME; false: no such table. */
bool http_json(struct http_server *h, const char *name, struct http_reply *r);

/* ---- http_files.c, http_list.c: files below the directory */

int http_files_open(const char *dir);
void http_file(struct http_server *h, const char *path, struct http_reply *r);
int http_file_status(int errnum);
struct stat;
void http_etag(const struct stat *st, char etag[HTTP_ETAG_BYTES]);
/* Does some component have the name of an upload that is under way? */
bool http_path_hidden(const char *path);
/* A page with the names in the directory fd. path: as requested, with a slash at its end. */
void http_list_reply(struct http_server *h, int fd, const char *path, struct http_reply *r);

/* ---- http_put.c: storing and deleting */

/* 0: *out is ready for the body; or the status to refuse it with. */
int http_put_begin(struct http_server *h, const char *path, const struct http_request *q,
	const char *head, struct http_upload **out);
/* 0, or the status to give up with. */
int http_put_write(struct http_upload *u, const char *data, size_t n);
/* Puts the file in its place: 201, 204, or why not. */
int http_put_commit(struct http_upload *u, char etag[HTTP_ETAG_BYTES]);
/* Ends an upload; what has not been committed is gone. u may be NULL. */
void http_put_end(struct http_server *h, struct http_upload *u);
/* The target, for the log. */
const char *http_put_target(const struct http_upload *u);
int http_delete(
	struct http_server *h, const char *path, const struct http_request *q, const char *head);

/* ---- ws.c: WebSockets */

bool ws_all_make(struct http_server *h);
void ws_all_free(struct http_server *h);
/* Whether the path is a WebSocket's. */
bool ws_path(const struct http_server *h);
/* Answers the opening handshake; 101: c->ws is set. */
void ws_open(struct http_conn *c, const char *head, struct http_reply *r);
enum http_run ws_turn(struct http_conn *c, uint64_t now_ns);
/* The timer has run out: false: the connection is to be ended. */
bool ws_timed_out(struct http_conn *c, uint64_t now_ns);
void ws_drop(struct http_conn *c);
/* After every round: events for viewers; when to be called again, ns. */
uint64_t ws_round(struct http_server *h, uint64_t now_ns);

#endif
