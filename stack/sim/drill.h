/* The packet-script engine's inside: what its files share.
 *
 * drill_text   text cursor, numbers and times in, text out, errors
 * drill_parse  lines, times, options, which kind of event
 * drill_pkt    packets in the script's words: read and printed; drill_icmp those of ICMP
 * drill_expr   the arguments and results of calls
 * drill_names  the names of constants and errors
 * drill_conf   settings of the instance: //@ config, sysctl
 * drill_option --options
 * drill_code   %{ }%: statements and expressions, read
 * drill_eval   %{ }%: run, over TCP_INFO
 * drill_wire   a packet as bytes, bytes as a packet
 * drill_frag   IP fragments, both ways
 * drill_cmp    expected packet against emitted packet
 * drill_exec   the clock, the order of events, what is emitted
 * drill_hook   who is asked before each event
 * drill_call   calls: their table, their results; drill_sock, drill_io, drill_opt, drill_poll: what
 *              they do, over drill_call.h
 * drill_check  the //@ directives while the script runs
 * drill_trace  what the stack did last, as text */
#ifndef TG_SIM_DRILL_H
#define TG_SIM_DRILL_H

#include "sock/bsd.h"
#include "tapglass_drill.h"
#include "tapglass_inspect.h"
#include "tapglass_rules.h"
#include "wire/ip4.h"
#include "wire/tcp_list.h"

#define DRILL_START_NS    (1000 * NS_PER_SEC) /* the clock when a script begins */
#define DRILL_PATIENCE_NS (600 * NS_PER_SEC)  /* how long "*" waits */
#define DRILL_PACKETS     512u
#define DRILL_FLOWS       64u
#define DRILL_FDS         64
#define DRILL_PEER_PORT   40000u /* remote port of the first passive connection */

/* Bounds of one run: a script that goes beyond is ended as an error. */
#define DRILL_LIFE_NS     (30ull * 24 * 3600 * NS_PER_SEC) /* virtual time */
#define DRILL_EMITTED_MAX 200000u                          /* packets that the stack sends */
#define DRILL_STEPS_MAX   500000u                          /* steps of the instance */

/* ---- Text ------------------------------------------------------------------------------------ */

/* Text on its way out; always NUL-terminated, silently cut. */
struct text {
	char *at, *end;
};
struct text text_in(char *buf, size_t cap);
/* %s text, %S pointer and uint32_t length, %u uint32_t, %d int64_t, %x uint32_t, %t time in ns as
 * seconds with six digits, %% */
void text_add(struct text *t, const char *fmt, ...);

struct drill_pos {
	uint32_t line, column;
};

/* The script as it is read. */
struct cursor {
	const char *at, *end, *line_start;
	uint32_t line;
};

struct drill;

struct drill_pos cur_pos(const struct cursor *c);
char cur_peek(const struct cursor *c); /* NUL at the end */
void cur_next(struct cursor *c);
/* Skips blanks on this line; blanks, line ends and comments other than directives. */
void cur_blanks(struct cursor *c);
bool cur_space(struct drill *d); /* false: a comment does not end */
/* Takes the text if it comes next. */
bool cur_take(struct cursor *c, const char *text);
bool cur_take_word(struct cursor *c, const char *word); /* and no letter behind it */
/* A word of letters, digits and _; 0 if there is none. */
uint32_t cur_word(struct cursor *c, const char **word);
bool cur_at_word(const struct cursor *c);
bool word_is(const char *word, uint32_t n, const char *text);
/* Decimal, 0x or 0 octal as in C, an optional sign. False: no number, or too large. */
bool cur_int(struct cursor *c, int64_t *out);
/* Unsigned and at most max. */
bool cur_uint(struct cursor *c, uint64_t max, uint64_t *out);
/* Seconds with fraction, as ns; false: none, or finer than ns. */
bool cur_seconds(struct cursor *c, uint64_t *out);
/* A number with a unit: ns us ms s, KiB MiB, or none. */
bool cur_quantity(struct cursor *c, uint64_t *out);

/* ---- Packets --------------------------------------------------------------------------------- */

enum {
	PKT_ANY_OPTS = 0x01, /* <...> */
	PKT_HAS_WIN = 0x02,
	PKT_HAS_ECN = 0x04, /* ecn says what is wanted */
	PKT_HAS_TOS = 0x08,
	PKT_HAS_TTL = 0x10,
	PKT_HAS_QUOTE = 0x20,
	PKT_HAS_MTU = 0x40,
	PKT_ECT01 = 0x80, /* ECT(0) or ECT(1) */
	PKT_HAS_ID = 0x100,
	PKT_RAW = 0x200 /* of ICMP: text_bytes behind the header, quoting nothing */
};

#define DRILL_FRAGS  48u   /* of one packet */
#define DRILL_PIECES 4096u /* of all that wait for their lines */

/* Bytes of an IP packet behind its header. */
struct drill_range {
	uint16_t from, to;
};

/* A packet in the script's words: sequence numbers of a script are relative, those of an emitted
 * packet absolute. */
struct drill_pkt {
	uint8_t proto, tos, ttl, ecn;
	uint16_t has; /* PKT_* */
	bool inject;
	uint16_t src_port, dst_port; /* 0: not said */
	uint32_t src, dst;
	/* TCP; g.text_bytes also for UDP and echo data */
	struct tcp_seg g;
	uint32_t n_opts;
	struct tcp_item opts[TCP_LIST_MAX];
	/* ICMP */
	uint8_t icmp_type, icmp_code;
	uint16_t icmp_mtu, icmp_id;
	uint8_t quote_proto;
	uint32_t quote_seq, quote_bytes; /* payload bytes of the quoted packet */
	uint16_t quote_src, quote_dst;
	/* of emitted ones */
	uint16_t n_frags; /* in how many pieces it came; 0: whole */
	uint16_t frag_at; /* the first of them in d->pieces */
	uint64_t time_ns;
	const char *fault; /* what is wrong with it as such; NULL: nothing */
};

/* ---- Calls ----------------------------------------------------------------------------------- */

enum expr_kind { EXPR_ANY, EXPR_INT, EXPR_STRING, EXPR_LIST, EXPR_STRUCT, EXPR_CALL };

/* An argument. Members of lists, structs and calls hang on `first`. */
struct expr {
	uint8_t kind;
	bool named; /* an EXPR_INT made of names: value printed as written */
	bool cut;   /* EXPR_STRING with "..." behind it */
	struct drill_pos pos;
	int64_t value;    /* EXPR_INT */
	const char *text; /* as written; of EXPR_CALL the function, of a member its value */
	uint32_t text_bytes;
	const char *name; /* of a struct's member */
	uint32_t name_bytes;
	struct expr *count; /* what stood in NAME(...)= */
	struct expr *first, *next;
};

struct drill_call {
	const char *name;
	uint32_t name_bytes;
	uint32_t n_args;
	struct expr *args;
	struct expr *result;
	int error;      /* positive errno with result -1; 0: none said */
	bool any_error; /* result -1, whatever the errno */
};

/* ---- Events ---------------------------------------------------------------------------------- */

enum drill_when { WHEN_NOW, WHEN_ABSOLUTE, WHEN_RELATIVE, WHEN_ANY };
enum drill_kind { EV_INJECT, EV_EXPECT, EV_CALL, EV_CHECK, EV_CODE };

/* //@ directives that run. */
enum check_kind {
	CHECK_STATE,  /* fd, value = enum tg_state; word: -1 for fd */
	CHECK_DROP,   /* value = enum tg_drop */
	CHECK_COUNT,  /* offset of the counter, value */
	CHECK_STATUS, /* fd, offset and size in tg_tcp_info, value */
	CHECK_TIMER,  /* fd, offset = enum tg_timer, value = ns from now, NEVER_NS: not armed */
	CHECK_QUIET,  /* value ns */
	CHECK_NEXT    /* change something in the next packet */
};

enum next_kind {
	NEXT_NONE,
	NEXT_OPTIONS,
	NEXT_CSUM,
	NEXT_OFFSET,
	NEXT_SRC,
	NEXT_DST,
	NEXT_FRAGMENTS /* of an expected packet: it has to come in these */
};

struct drill_check {
	struct drill_pos pos;
	uint8_t kind, next;
	uint8_t size; /* bytes of the field */
	int fd;       /* -1: whatever has the flow's ports */
	uint32_t offset;
	uint64_t value;
	const char *name;
	uint32_t name_bytes;
	uint8_t bytes[TCP_OPTS_MAX_BYTES];
	uint32_t n_bytes;
	struct drill_range *frags;
	uint32_t n_frags;
};

/* ---- Code ------------------------------------------------------------------------------------ */

/* One node of an expression or a statement of %{ }%. */
struct code {
	uint8_t op; /* enum code_op, drill_code.h */
	uint8_t bytes;
	struct drill_pos pos;
	int64_t num, den; /* CODE_NUMBER; num also: place of a variable or a field */
	const char *text; /* as written */
	uint32_t text_bytes;
	struct code *a, *b, *next;
};

#define DRILL_VARS 32u
struct drill_var {
	const char *name;
	uint32_t name_bytes;
	int64_t num, den; /* den 0: not set yet */
};

struct drill_event {
	struct drill_event *next;
	struct drill_pos pos;
	uint8_t kind, when;
	bool range, blocking;
	uint64_t start_ns,
		end_ns; /* from the start, or from the event before; end: of range or call */
	uint64_t due_ns, until_ns; /* the same by the clock, once it is this event's turn */
	uint64_t slack_ns;         /* times may differ by so much */
	struct drill_pkt *pkt;
	struct drill_call *call;
	struct drill_check *check;
	struct code *code; /* statements */
};

/* ---- A run ----------------------------------------------------------------------------------- */

/* One 4-tuple, its sides told apart by the local and the remote port. */
struct drill_flow {
	uint16_t lport, rport;
	bool learned; /* local_off holds */
	bool relearn; /* a new connection was begun: the next SYN teaches again */
	bool remote_syn, ts_learned;
	uint32_t local_off; /* absolute - scripted, of what we send */
	uint32_t live_isn;
	uint32_t remote_isn;
	uint32_t ts_off;
	uint16_t quote_id;
};

/* ---- Being asked before each event (the stepper does) ---------------------------------------- */

enum drill_go {
	DRILL_GO,
	DRILL_AGAIN, /* the asker did something to the instance, and put d->now_ns to when: what was
			to come may come later now, and is asked for again */
	DRILL_SKIP,  /* the packet is lost */
	DRILL_TWICE, /* the packet comes twice; the second time is asked for as well */
	DRILL_STOP   /* the run ends here, without a verdict */
};

/* What is about to happen. */
struct drill_moment {
	const struct drill_event *e; /* NULL: a deadline of the instance */
	uint64_t time_ns;
	uint8_t *frame; /* of an injected packet; may be changed */
	uint32_t bytes;
};

struct drill_hooks {
	void *arg;
	enum drill_go (*before)(void *arg, const struct drill_moment *m);
	void (*sent)(void *arg, const struct tg_frame *f);
	void (*told)(void *arg, const struct tg_event *ev);
	uint8_t *hold; /* 65,535 bytes: a packet while it is asked for */
};

struct drill {
	struct tg_drill_options o;
	struct tg_drill_result *r;
	struct tg_config cfg;
	struct tg *s;
	unsigned netif;
	uint64_t now_ns;

	const char *text;
	size_t text_bytes;
	struct cursor c;
	uint8_t *mem, *mem_end; /* what is left of the scratch memory */

	struct drill_event *first, **tail;
	struct drill_event *next; /* to be run */
	uint64_t base_ns;         /* what relative times count from */
	const struct drill_event *current;

	struct drill_pkt *fifo; /* emitted and not yet matched: DRILL_PACKETS of them */
	uint32_t fifo_head, fifo_count;
	uint8_t *frame;   /* 65,535 bytes */
	uint8_t *payload; /* the same, of calls */
	uint8_t *bounce;  /* the same, of calls with several pieces */
	uint8_t *piece;   /* the same, of injected fragments */

	struct drill_flow flows[DRILL_FLOWS];
	uint32_t n_flows, cur_flow;

	struct bsd bsd;
	struct bsd_file files[DRILL_FDS];
	int fd_map[DRILL_FDS * 4];         /* of the script's numbers; -1: not open */
	const struct drill_event *blocked; /* the call that waits */
	bool blocks;                       /* a call would have blocked and must not */

	uint64_t drops[TG_DROP_COUNT]; /* before the last injected packet */
	const struct drill_check *tamper[8];
	uint32_t n_tamper;
	const struct drill_check *cut; /* fragments of the next packet, either way; or NULL */
	struct drill_range *pieces;    /* that emitted fragments covered, DRILL_PIECES of them */
	uint32_t n_pieces;
	struct drill_gather *gather; /* the datagram that is being put together */
	uint16_t ip_id;              /* of injected packets */

	struct drill_var vars[DRILL_VARS];
	uint32_t n_vars;
	struct text printed; /* r->printed */
	int last_fd;         /* the script's number of the stream made or connected last; -1 */

	uint64_t emitted, steps; /* so far, for the bounds of a run */
	uint64_t end_ns;         /* of virtual time */
	bool failed;

	const struct drill_hooks *hooks; /* or NULL */
	bool stopped;                    /* by a hook: failed, but no verdict */
};

/* Memory for the length of the run, zero; NULL: the script is too large (error is set). */
void *drill_alloc(struct drill *d, size_t n);

/* The first error or failure counts; all return false, for `return drill_error(...)`. fmt as
 * text_add. */
bool drill_error(struct drill *d, struct drill_pos pos, const char *fmt, const char *a, uint32_t n);
bool drill_fail(struct drill *d, const struct drill_event *e, const char *message);
#define drill_error_at(d, fmt) drill_error((d), cur_pos(&(d)->c), (fmt), "", 0)

/* drill_parse.c */
bool drill_parse(struct drill *d);
/* drill_pkt.c: at the direction mark's end. */
bool drill_parse_pkt(struct drill *d, struct drill_pkt *p);
void drill_print_pkt(struct text *t, const struct drill_pkt *p);
/* drill_icmp.c */
bool drill_parse_icmp(struct drill *d, struct drill_pkt *p);
void drill_print_icmp(struct text *t, const struct drill_pkt *p);
bool drill_parse_seq(struct drill *d, uint32_t *seq, uint32_t *bytes);
/* Blanks; line ends and comments too, if what stands behind can only belong to this packet. */
void drill_pkt_blanks(struct drill *d);
/* drill_expr.c */
bool drill_parse_call(struct drill *d, struct drill_call *c);
/* drill_names.c: constants and errors; false: no such name. */
bool drill_constant(const char *w, uint32_t n, int64_t *out);
bool drill_errno(const char *w, uint32_t n, int64_t *out);
const char *drill_errno_name(int error); /* NULL: none */
/* drill_option.c: what -D says about a word; NULL: nothing. */
const char *drill_define(const struct drill *d, const char *w, uint32_t n, uint32_t *bytes);
/* At "--": takes the option, or the error says why not. */
bool drill_parse_option(struct drill *d);
/* drill_code.c: behind "%{". */
bool drill_parse_code(struct drill *d, struct code **out);
/* drill_eval.c */
bool drill_run_code(struct drill *d, const struct drill_event *e);
/* drill_conf.c: at the directive's or the command's text, up to the end of the line. */
bool drill_parse_config(struct drill *d);
/* effect false: looked at, and nothing more. */
bool drill_parse_command(struct drill *d, bool effect);
/* drill_check.c: at the directive's word. */
bool drill_parse_check(struct drill *d, const char *word, uint32_t n, struct drill_check *k);
bool drill_run_check(struct drill *d, const struct drill_event *e);

/* drill_wire.c */
/* Bytes of the packet in d->frame, or 0 (the error is set). Absolute sequence numbers. */
uint32_t drill_build(struct drill *d, const struct drill_event *e, const struct drill_pkt *p);
void drill_read(const uint8_t *b, uint32_t n, struct drill_pkt *p);

/* drill_frag.c */
/* The ranges behind "fragments". */
bool drill_parse_ranges(struct drill *d, struct drill_check *k);
void drill_print_ranges(struct text *t, const struct drill_range *r, uint32_t n);
/* Injects the n bytes of d->frame cut into these ranges. */
bool drill_inject_ranges(
	struct drill *d, const struct drill_event *e, uint32_t n, const struct drill_check *k);
/* Takes the n bytes of an emitted fragment in d->frame. 0: more of it are missing; else the bytes
 * of the whole packet, which is in d->frame then, and p->n_frags and p->frag_at are set. */
uint32_t drill_gather(struct drill *d, uint32_t n, struct drill_pkt *p);
/* Is a datagram begun that is not whole? */
bool drill_gathering(const struct drill *d);

/* drill_cmp.c */
struct drill_flow *drill_flow(struct drill *d, uint16_t lport, uint16_t rport);
/* Is `got` what the event expects? Learns sequence numbers; false: failure set. */
bool drill_compare(struct drill *d, const struct drill_event *e, const struct drill_pkt *got);
/* got in the script's numbers. */
void drill_relative(const struct drill *d, struct drill_pkt *got);

/* drill_exec.c */
/* The run in o->scratch, the script read; d->failed: it is not understood. */
struct drill *drill_open(
	const struct tg_drill_options *o, const char *text, size_t n, struct tg_drill_result *r);
/* Makes the instance, and runs the script against it. False: the verdict is not "passed". */
bool drill_make(struct drill *d);
bool drill_run(struct drill *d);
/* Lets the stack act at the present time. */
void drill_settle(struct drill *d);
/* Gives the n bytes at b to the instance. False: the failure is set. */
bool drill_input(struct drill *d, const struct drill_event *e, const uint8_t *b, uint32_t n);
/* Lets time pass. False: a blocked call may go on, or a failure. */
bool drill_advance(struct drill *d, uint64_t until_ns, const struct bsd_want *w, unsigned n);
bool drill_wait(void *ctx, const struct bsd_want *w, unsigned n, uint64_t deadline_ns);
bool drill_transmit(void *dev, const struct tg_frame *f);
/* Nothing may have been emitted that was not expected. */
bool drill_nothing_left(struct drill *d, const struct drill_event *e);

/* drill_hook.c: with d->hooks */
/* Before a deadline of the instance. False: look at the deadlines again, or the run has ended. */
bool drill_ask_timer(struct drill *d, uint64_t time_ns);
/* Before a line, at the present time. False: the run has ended. */
bool drill_ask_line(struct drill *d, const struct drill_event *e);
/* Before the packet in d->hold is injected; then d->frame has it. */
enum drill_go drill_ask_packet(struct drill *d, const struct drill_event *e, uint32_t n);

/* drill_call.c */
/* Is there such a call, with so many arguments? */
bool drill_check_call(struct drill *d, struct drill_pos pos, const struct drill_call *c);
bool drill_run_call(struct drill *d, const struct drill_event *e);
/* Our descriptor for the script's; a number that is none when it is not open. */
int drill_fd(const struct drill *d, int64_t fd);

/* drill_trace.c */
void drill_print_trace(const struct drill *d, struct text *t);

#endif
