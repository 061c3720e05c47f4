/* iperf3's protocol, both ends: what its files share. iperf3.c: the command line; iperf_server.c,
 * iperf_client.c: the two roles; iperf_ctl.c: the control connection; iperf_json.c: what is said on
 * it; iperf_test.c: a test's time, counters and results; iperf_stream.c: its data; iperf_report.c,
 * iperf_report_json.c: what people and programs read of it.
 *
 * A test: the client connects and sends a cookie of 37 octets. The server answers with states, one
 * octet each, and drives it so: PARAM_EXCHANGE (the client sends what is to be done, JSON behind a
 * length of four octets), CREATE_STREAMS (the client opens the data connections, the cookie first
 * in each; with UDP a datagram goes each way instead), TEST_START and TEST_RUNNING. The client says
 * TEST_END, the server EXCHANGE_RESULTS (JSON from the client, then from the server) and
 * DISPLAY_RESULTS, the client IPERF_DONE. */
#ifndef TAPGLASS_APPS_IPERF_H
#define TAPGLASS_APPS_IPERF_H

#include <json-c/json.h>

#include "service.h"

#define IPERF_PORT          5201
#define IPERF_COOKIE_BYTES  37u /* 36 characters and a NUL */
#define IPERF_PARALLEL_MAX  128u
#define IPERF_STREAMS_MAX   (2 * IPERF_PARALLEL_MAX)
#define IPERF_PARAMS_MAX    65536u     /* octets of JSON */
#define IPERF_RESULTS_MAX   131072u    /* the same, without the other end's output */
#define IPERF_OUTPUT_MAX    (4u << 20) /* of output in results */
#define IPERF_TCP_BLOCK_MAX (1u << 20)
#define IPERF_TCP_BLOCK     131072u
#define IPERF_UDP_BLOCK_MAX 65507u
#define IPERF_UDP_BLOCK     1460u
#define IPERF_UDP_RATE      1048576u
#define IPERF_TIME_MAX_S    86400u
#define IPERF_OMIT_MAX_S    600u
#define IPERF_TEXT_BYTES    256u
#define IPERF_STEP_NS       (30 * NS_PER_S)  /* each step of the protocol may take so long */
#define IPERF_IDLE_NS       (120 * NS_PER_S) /* and a running test be silent so long */

enum iperf_state {
	IPERF_TEST_START = 1,
	IPERF_TEST_RUNNING = 2,
	IPERF_TEST_END = 4,
	IPERF_PARAM_EXCHANGE = 9,
	IPERF_CREATE_STREAMS = 10,
	IPERF_SERVER_TERMINATE = 11,
	IPERF_CLIENT_TERMINATE = 12,
	IPERF_EXCHANGE_RESULTS = 13,
	IPERF_DISPLAY_RESULTS = 14,
	IPERF_START = 15, /* nothing was said yet */
	IPERF_DONE = 16,
	IPERF_SERVER_ERROR = 254, /* two numbers of four octets follow: which error, errno */
	IPERF_ACCESS_DENIED = 255,
};

/* Errors as they are numbered behind SERVER_ERROR. */
enum iperf_error {
	IPERF_E_COOKIE = 106,
	IPERF_E_CTRL_CLOSED = 109,
	IPERF_E_MESSAGE = 110,
	IPERF_E_PARAMS = 114,
	IPERF_E_RESULTS_SEND = 116,
	IPERF_E_RESULTS = 117,
	IPERF_E_CLIENT_TERM = 119,
	IPERF_E_SERVER_TERM = 120,
	IPERF_E_CONGESTION = 134,
	IPERF_E_IDLE = 144,
	IPERF_E_STREAM = 200,
	IPERF_E_ACCEPT = 204,
	IPERF_E_WRITE = 205,
	IPERF_E_READ = 206,
};
/* A sentence without its full stop; NULL: unknown. */
const char *iperf_error_text(unsigned error);

/* ---- What is said on the control connection (iperf_json.c) ----------------------------------- */

struct iperf_params {
	bool udp, reverse, bidir, nodelay, udp_64bit, get_output;
	uint32_t omit_s, time_s; /* time_s 0 with neither bytes nor blocks: no end */
	uint64_t bytes, blocks;  /* to send; 0: not what ends the test */
	uint32_t parallel, block_bytes, window_bytes, mss, tos, burst_blocks, pacing_us;
	uint64_t rate_bps; /* bits a second in each stream; 0: as fast as possible */
	char congestion[16];
	char title[IPERF_TEXT_BYTES], extra[IPERF_TEXT_BYTES], version[32];
};

struct iperf_stream_result {
	int64_t id;
	uint64_t bytes, packets, lost; /* packets: sent, or the highest number that came */
	int64_t retransmits;           /* -1: unknown */
	double jitter_s, start_s, end_s;
};

struct iperf_results {
	double cpu_total, cpu_user, cpu_system; /* per cent */
	int64_t has_retransmits;                /* 0, 1; -1: not a sender */
	char congestion[16];
	char *output;                    /* of the server; owned; NULL: none */
	struct json_object *output_json; /* instead; owned */
	unsigned n;
	struct iperf_stream_result stream[IPERF_STREAMS_MAX];
};

/* False: not acceptable, why says what; *error is the number for the other end. */
bool iperf_params_read(
	const char *text, size_t n, struct iperf_params *p, unsigned *error, char why[128]);
/* The caller's; NULL: out of memory. */
char *iperf_params_write(const struct iperf_params *p);
/* False: not acceptable. What it took is given back with iperf_results_free in any case. */
bool iperf_results_read(const char *text, size_t n, struct iperf_results *r, char why[128]);
/* Takes r's output_json away. The caller's; NULL: out of memory. */
char *iperf_results_write(struct iperf_results *r);
void iperf_results_free(struct iperf_results *r);

/* ---- The control connection (iperf_ctl.c) ---------------------------------------------------- */

struct iperf_ctl {
	struct svc_conn conn; /* the user sets event */
	struct tg *s;
	/* what waits to be sent */
	char *out;
	size_t out_at, out_bytes, out_room;
	/* what is being read: so far, of how much */
	uint8_t head[IPERF_COOKIE_BYTES];
	uint32_t head_bytes;
	char *json;
	uint32_t json_bytes, json_want, json_room;
};

/* Queues and sends. False: out of memory. */
bool iperf_ctl_send(struct iperf_ctl *c, const void *data, size_t n, uint64_t now_ns);
bool iperf_ctl_state(struct iperf_ctl *c, enum iperf_state state, uint64_t now_ns);
bool iperf_ctl_send_json(struct iperf_ctl *c, const char *text, uint64_t now_ns);
/* Sends what there is room for: 0, or the error. */
int iperf_ctl_flush(struct iperf_ctl *c, uint64_t now_ns);
/* Reads exactly n octets (at most IPERF_COOKIE_BYTES) into c->head: 1 when they are there,
 * -TG_EAGAIN, 0: the stream has ended, or another error. */
int iperf_ctl_read(struct iperf_ctl *c, uint32_t n, uint64_t now_ns);
/* The same with a length and so much text, which is c->json then; -TG_EMSGSIZE: longer than max. */
int iperf_ctl_read_json(struct iperf_ctl *c, uint32_t max, uint64_t now_ns);
/* Closes it, delivering what was queued, and gives back the memory. */
void iperf_ctl_close(struct iperf_ctl *c, uint64_t now_ns);

/* ---- A test ---------------------------------------------------------------------------------- */

/* What counts; differences of two of them are what an interval had. */
struct iperf_count {
	uint64_t bytes, blocks, packets, lost, disorder, retransmits;
};

/* Sequence numbers and times of a UDP stream, as the receiver sees them. */
struct iperf_arrivals {
	uint64_t packets, lost, disorder; /* packets: the highest number */
	int64_t transit_ns;
	bool has_transit;
	double jitter_s; /* [3550 6.4.1] */
};
/* A datagram came, numbered from 1. */
void iperf_arrive(struct iperf_arrivals *a, uint64_t number, int64_t sent_ns, int64_t now_ns);

enum iperf_phase {
	IPERF_CONNECTING,
	IPERF_GREETING, /* the cookie is to be sent, or an answer awaited */
	IPERF_READY,
	IPERF_ENDED, /* the other end sends no more */
};

struct iperf_test;

struct iperf_stream {
	struct svc_conn conn;
	struct iperf_test *test;
	unsigned id; /* 1, 3, 4, 5 ... */
	bool sender;
	enum iperf_phase phase;
	uint32_t greeting_bytes; /* of the cookie, sent */
	uint32_t block_left;     /* octets of the block that is being sent */
	uint32_t burst_left;     /* blocks that may go before the time is asked */
	struct tg_addr local, peer;
	struct iperf_count now, base,
		mark; /* all; at the end of what is omitted; of the interval's beginning */
	struct iperf_arrivals arrivals;
	uint64_t due_ns;   /* next block, with a rate */
	uint64_t greet_ns; /* the greeting is repeated then (UDP) */
	bool retry;        /* the socket took nothing for a reason that passes */
	/* a TCP sender's, as last looked at */
	uint32_t cwnd_bytes, snd_wnd_bytes, rtt_us, rttvar_us, pmtu;
	uint32_t max_cwnd_bytes, max_wnd_bytes, max_rtt_us, min_rtt_us;
	uint64_t rtt_sum_us, rtt_samples;
};

/* Where lines go; text ends with a newline. */
struct iperf_sink {
	void *arg;
	void (*line)(void *arg, const char *text, size_t n, bool error);
	void (*json)(void *arg, char *text); /* takes it over */
};

struct iperf_opt {
	bool json, verbose, one_off, quiet; /* quiet: only what a whole test came to */
	char unit;                          /* of -f, 0: what fits */
	uint64_t interval_ns;               /* 0: none */
	uint64_t idle_ns;
};

struct iperf_test {
	struct tg *s;
	const struct iperf_opt *opt;
	const struct iperf_sink *sink;
	bool server;
	struct iperf_params p;
	enum iperf_state state;
	struct iperf_ctl ctl;
	char cookie[IPERF_COOKIE_BYTES];
	struct tg_addr peer; /* of the control connection */
	struct iperf_stream *streams[IPERF_STREAMS_MAX];
	unsigned n_streams;
	char *payload; /* one block */
	/* time */
	uint64_t step_ns; /* when this step of the protocol has to be over */
	uint64_t tail_ns; /* what is on its way may come until then */
	uint64_t begin_ns, start_ns, mark_ns, end_ns, moved_ns; /* start: what is omitted is over */
	uint64_t next_interval_ns, next_pace_ns;
	bool running, omitting, counting;
	uint64_t sent_bytes, sent_blocks, received_bytes,
		received_blocks; /* since what is omitted, all streams */
	/* ends */
	bool failed, over; /* over: to be freed */
	bool reported;
	bool heard; /* something may be read from the control connection */
	char why[200];
	/* results */
	double cpu_at[3],
		cpu[3]; /* seconds at the beginning of wall, user, system; then per cent */
	struct iperf_results *mine, *theirs;
	/* reports */
	char *output; /* for the other end, if it asked for it */
	size_t output_bytes;
	struct json_object *report, *intervals; /* -J */
	uint32_t interval_rows;
};

/* iperf_test.c */

/* How many streams there are to be, and whether the i-th of them (0 ...) is one that we send on. */
unsigned iperf_streams_wanted(const struct iperf_params *p);
bool iperf_stream_sends(const struct iperf_test *t, unsigned i);
/* A stream, in t's list; NULL: out of memory. */
struct iperf_stream *iperf_stream_new(struct iperf_test *t, enum iperf_phase phase);
/* Data may flow: time runs from here. */
bool iperf_test_start(struct iperf_test *t, uint64_t now_ns);
/* After every round: intervals, pacing, silence. Returns when to be called again, ns. */
uint64_t iperf_test_round(struct iperf_test *t, uint64_t now_ns);
/* What was to be sent or received has been. */
bool iperf_test_complete(const struct iperf_test *t, uint64_t now_ns);
/* No more is counted. */
void iperf_test_stop(struct iperf_test *t, uint64_t now_ns);
/* Fills in t->mine. False: out of memory. */
bool iperf_test_results(struct iperf_test *t);
/* Puts t in order: everything about it that does not depend on its role. ctl's socket is open. */
void iperf_test_init(struct iperf_test *t, struct tg *s, const struct iperf_opt *opt,
	const struct iperf_sink *sink);
/* The protocol has come a step further. */
void iperf_test_step(struct iperf_test *t, enum iperf_state state, uint64_t now_ns);
/* A step takes too long: it fails. When to look again. */
uint64_t iperf_test_patience(struct iperf_test *t, uint64_t now_ns);
/* Whatever is still to be said of it: the report of one that failed, why it did, all of it as JSON.
 */
void iperf_test_tell(struct iperf_test *t);
/* Ends it with a message; the other end is told so. */
void iperf_test_fail(struct iperf_test *t, unsigned error, uint64_t now_ns, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Closes all sockets and gives back all memory but t itself. */
void iperf_test_free(struct iperf_test *t, uint64_t now_ns);
struct iperf_count iperf_count_diff(const struct iperf_count *a, const struct iperf_count *b);
double iperf_seconds(uint64_t from_ns, uint64_t to_ns);

/* iperf_stream.c */

/* Opens, as the client. 0 or the library's error. */
int iperf_stream_connect(struct iperf_stream *st, const struct tg_addr *to, uint64_t now_ns);
/* What -N, -w, -M, -C, -S ask for. 0 or the error of the first that failed. */
int iperf_stream_options(struct iperf_stream *st, bool before_syn, uint64_t now_ns);
/* It is open: nothing more is to be said before the test. */
void iperf_stream_ready(struct iperf_stream *st);
/* For svc_conn.event. */
void iperf_stream_event(struct svc_conn *c, unsigned events, uint64_t now_ns);
/* Sends what may be sent now. */
void iperf_stream_send(struct iperf_stream *st, uint64_t now_ns);
/* Brings retransmits and cwnd up to date. */
void iperf_stream_look(struct iperf_stream *st);
/* The first datagrams of a UDP stream. */
#define IPERF_UDP_HELLO "9876"
#define IPERF_UDP_REPLY "6789"

/* iperf_report.c */

void iperf_say(struct iperf_test *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "1.10 GBytes", "9.38 Gbits/sec"; unit: as of -f, or 0. */
char *iperf_amount(double bytes, char buf[24]);
char *iperf_rate(double bits_per_second, char unit, char buf[24]);
void iperf_report_begin(struct iperf_test *t);
void iperf_report_interval(struct iperf_test *t, uint64_t now_ns);
/* t->theirs may be NULL. */
void iperf_report_end(struct iperf_test *t);
/* Who sent how much in the whole test, as one end knows it or the other. */
struct iperf_summary {
	struct iperf_count count;
	double seconds, jitter_s;
	int64_t retransmits; /* -1: unknown */
	bool known;
};
/* Of one stream: what its sender says, its receiver. */
struct iperf_summary iperf_summary_of(
	const struct iperf_test *t, const struct iperf_stream *st, bool sender);

/* iperf_report_json.c */

void iperf_json_begin(struct iperf_test *t);
void iperf_json_interval(struct iperf_test *t, uint64_t now_ns);
void iperf_json_end(struct iperf_test *t);
/* Passes on what there is, with t->why as the error if it failed. */
void iperf_json_print(struct iperf_test *t);

/* ---- Roles ----------------------------------------------------------------------------------- */

/* iperf_serve.c: what the client of a test has said. When to look again. */
uint64_t iperf_serve(struct iperf_test *t, uint64_t now_ns);

struct iperf_server;
/* Listens on a port of any address. NULL: *rc is the library's error. opt, sink stay until
 * iperf_server_free. */
struct iperf_server *iperf_server_start(struct services *v, uint16_t port,
	const struct iperf_opt *opt, const struct iperf_sink *sink, uint64_t now_ns, int *rc);
uint64_t iperf_server_round(struct iperf_server *v, uint64_t now_ns);
/* With one_off, when the test is over: true, and whether it failed. */
bool iperf_server_done(const struct iperf_server *v, bool *failed);
/* Ends a test in progress (true: there was one), tells its client. */
bool iperf_server_stop(struct iperf_server *v, uint64_t now_ns);
void iperf_server_free(struct iperf_server *v, uint64_t now_ns);

struct iperf_client;
struct iperf_client_opt {
	struct tg_addr server;
	uint64_t connect_ns; /* 0: as long as TCP tries */
	struct iperf_params p;
};
/* NULL: out of memory. o is copied. */
struct iperf_client *iperf_client_start(struct tg *s, const struct iperf_client_opt *o,
	const struct iperf_opt *opt, const struct iperf_sink *sink, uint64_t now_ns);
uint64_t iperf_client_round(struct iperf_client *c, uint64_t now_ns);
bool iperf_client_done(const struct iperf_client *c, bool *failed);
/* Ends it before its time. */
void iperf_client_stop(struct iperf_client *c, uint64_t now_ns);
void iperf_client_free(struct iperf_client *c, uint64_t now_ns);

#endif
