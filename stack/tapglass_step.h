/* Stepping: a world of instances that stops before every event, tells what the event will do, does
 * it, and goes back.
 *
 * Events are numbered from 1; position n means that n events have happened. A world is one of four:
 *
 *   lab      two instances of ours, 10.0.0.1 and 10.0.0.2, and the frames between them
 *   script   one instance; a packet script (tapglass_drill.h) is the other end and the application
 *   journal  one instance that does again what was recorded (tapglass_journal.h)
 *   live     one instance that the caller drives: a device, a clock and applications of its own
 *
 * No operating system, no allocation: all memory is the caller's. The same position reached by the
 * same way always gives the same bytes, and what tg_stepper_predict tells of an event is what then
 * happens. */
#ifndef TAPGLASS_STEP_H
#define TAPGLASS_STEP_H

#include "tapglass.h"
#include "tapglass_drill.h"
#include "tapglass_host.h"
#include "tapglass_inspect.h"
#include "tapglass_journal.h"
#include "tapglass_rules.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tg_stepper; /* in the caller's memory */

/* ---- Events ---------------------------------------------------------------------------------- */

enum tg_step_kind {
	TG_STEP_NOTHING, /* nothing will happen unless the user does something */
	TG_STEP_FRAME,   /* a frame is delivered to `end` */
	TG_STEP_TIMER,   /* the clock goes on to a deadline of `end` */
	TG_STEP_CALL,    /* an application calls: the script's, the journal's, a live service, or
			  * the user (tg_stepper_act) */
	TG_STEP_LINE,    /* a script's line that expects a packet or looks at something */
	TG_STEP_HAND,    /* the user did something to the queue or the clock */
	TG_STEP_END      /* the script or the journal is over: text says how */
};

struct tg_step_event {
	uint8_t kind;      /* enum tg_step_kind */
	uint8_t end;       /* 0 or 1 */
	uint8_t link;      /* enum tg_link, of the frame */
	uint8_t act;       /* enum tg_step_act of what the user did; 0: it came by itself */
	uint64_t number;   /* position after it */
	uint64_t time_ns;  /* since the world began */
	uint32_t conn;     /* serial number at `end`; 0: none, or not yet */
	uint32_t timers;   /* TIMER: 1u << enum tg_timer for each that is due; 0: another one */
	uint32_t frame_id; /* in the queue; of a journal: its number in the trace */
	uint32_t frame_bytes;
	uint32_t frame_here;  /* bytes at `frame`: all, but of the past (tg_stepper_past) at most
			       * TG_STEP_KEPT */
	uint32_t line;        /* of the script; 0: none */
	const uint8_t *frame; /* with its link header; valid until the next call on the stepper */
	const char *note;     /* the comment that stands above the script's line or behind it, lines
			       * ended by '\n' and without their marks; not NUL-terminated */
	uint32_t note_bytes;
	char text[200]; /* a call or a script's line in words; of END the verdict */
};
#define TG_STEP_KEPT 256u

#define TG_STEP_TRACES 192u
#define TG_STEP_CONNS  8u
#define TG_STEP_FRAMES 32u
#define TG_STEP_HEAD   128u
#define TG_STEP_EVENTS 16u
#define TG_STEP_GOT    64u

/* What an event did, or will do. Everything that is not used is zero: two of them compare by
 * memcmp. */
struct tg_step_effects {
	/* What there was; at most as many are here. */
	uint32_t n_traces, n_rules, n_conns, n_frames, n_events;
	uint32_t n_got; /* bytes that a RECV took */
	int64_t result; /* of a call */
	uint64_t hash;  /* of the world after it */
	struct {
		uint8_t end;
		struct tg_trace t;
	} trace[TG_STEP_TRACES];
	struct {
		uint8_t end;
		struct tg_rule_hit hit;
	} rule[TG_RULE_HITS];
	struct {
		uint8_t end;
		bool was, is; /* there before, there after */
		struct tg_tcb before, after;
	} conn[TG_STEP_CONNS]; /* those that changed */
	struct {
		uint8_t end;
		uint32_t id; /* in the queue; 0: it went elsewhere, or an impairment took it */
		uint32_t bytes;
		uint8_t head[TG_STEP_HEAD];
	} frame[TG_STEP_FRAMES]; /* sent */
	struct {
		uint8_t end;
		tg_sock sock;
		unsigned events;
	} event[TG_STEP_EVENTS]; /* told to applications */
	uint8_t got[TG_STEP_GOT];
};

/* A frame on its way. */
struct tg_step_frame {
	uint32_t id;
	uint8_t to_end, link;
	uint64_t due_ns;     /* since the world began */
	const uint8_t *data; /* with its link header; valid until the next call on the stepper */
	uint32_t bytes;
	/* Live: what the device says of it, as in struct tg_pkt, and the interface it came by. */
	uint16_t netif, gso_size;
	uint8_t gso, csum;
};

/* ---- Worlds ---------------------------------------------------------------------------------- */

struct tg_step_options {
	/* The world: page-aligned, zero, reserved rather than committed, exclusively the
	 * stepper's. Of a lab or a script TG_STEP_MEM_BYTES do; of a journal see
	 * tg_step_journal_bytes. */
	void *mem;
	size_t mem_bytes;
	/* Snapshots and the log of what was done: dense near, thinned out with distance. 8 MiB
	 * and more; 64 MiB are many hours of stepping by hand. Page-aligned, need not be zero. */
	void *history;
	size_t history_bytes;
	struct tg_config config;    /* of both instances (lab) - tg_config_default's, with a fixed
				     * seed, a short trace, and initial sequence numbers from the
				     * seed */
	uint64_t latency_ns;        /* lab: one way - 10 ms */
	uint32_t mtu;               /* lab - 1500 */
	enum tg_link link;          /* lab - TG_LINK_IP: no ARP; ETHERNET shows it */
	struct tg_impair impair[2]; /* lab: of what end e sends - none */
	uint8_t impair_seed[32];    /* - zeros */
};
#define TG_STEP_MEM_BYTES (128u << 20)

TG_API void tg_step_options_default(struct tg_step_options *o);

/* All give NULL if it cannot be: *why says so in words. What o points to but for mem and history
 * is copied. */
TG_API struct tg_stepper *tg_step_lab(const struct tg_step_options *o, const char **why);
/* text stays until the end. d: as for tg_drill_run, but for mem and scratch, which are not looked
 * at; names in it stay. A script that is not understood: *why is the message, r (may be NULL) the
 * whole result. */
TG_API struct tg_stepper *tg_step_script(const struct tg_step_options *o,
	const struct tg_drill_options *d, const char *text, size_t n, struct tg_drill_result *r,
	const char **why);
/* The file stays until the end. */
TG_API struct tg_stepper *tg_step_journal(
	const struct tg_step_options *o, const void *file, size_t bytes, const char **why);
/* Bytes of options.mem that this journal needs; 0: it is none. */
TG_API size_t tg_step_journal_bytes(const void *file, size_t bytes);

/* A world that somebody else drives: a device of its own holds frames back, applications of its own
 * use the instance. Nothing but the stepper may call into the instance while it is in use, except
 * from `run`. The clock must not go on between tg_stepper_next or tg_stepper_predict and the
 * tg_stepper_step that follows: it stands while the world is stopped.
 *
 * Events are a frame that waits (FRAME), a deadline (TIMER; of one that is not due yet next tells
 * the time, and step returns false), and applications' turn when there is something to tell them
 * (CALL; what they will do cannot be predicted). The user's calls are possible, and deliver, drop,
 * dup and corrupt on waiting frames. The past can be looked at only; of what is recorded
 * (tg_record_start) not even that. */
struct tg_step_live {
	struct tg *s;
	void *arg;
	uint64_t (*now)(void *arg);    /* the instance's clock */
	uint32_t (*queued)(void *arg); /* frames that wait for the instance */
	/* The i-th of them, in order of arrival: id, link, data, bytes, netif and what the device
	 * says of it. False: there are fewer. */
	bool (*look)(void *arg, uint32_t i, struct tg_step_frame *out);
	void (*take)(void *arg, uint32_t i); /* it was delivered, or dropped: forget it */
	/* Applications take the instance's events (tg_event) and make their calls. */
	void (*run)(void *arg);
};
TG_API struct tg_stepper *tg_step_live(
	const struct tg_step_options *o, const struct tg_step_live *l, const char **why);
/* Bytes of options.mem for a live world. */
#define TG_STEP_LIVE_BYTES (2u << 20)

/* ---- Looking --------------------------------------------------------------------------------- */

TG_API uint64_t tg_stepper_position(const struct tg_stepper *w);
/* The last position that has been; beyond the present one after going back. */
TG_API uint64_t tg_stepper_last(const struct tg_stepper *w);
/* ns since the world began. */
TG_API uint64_t tg_stepper_now(const struct tg_stepper *w);
/* What the clocks of the instances showed when the world began: times in a trace record or a TCB
 * are by these. */
TG_API uint64_t tg_stepper_epoch(const struct tg_stepper *w);
/* To be looked at alone. NULL: that end is no instance of ours. */
TG_API struct tg *tg_stepper_instance(struct tg_stepper *w, unsigned end);
/* Hash of the whole world as it is. */
TG_API uint64_t tg_stepper_hash(struct tg_stepper *w);
/* What comes next. After going back: what came then, be it by the user's hand. */
TG_API void tg_stepper_next(struct tg_stepper *w, struct tg_step_event *out);
/* What the next event will do; the world is as before. False: there is none, or it cannot be known
 * (an application of a live world acts), or history is too small for one snapshot. */
TG_API bool tg_stepper_predict(struct tg_stepper *w, struct tg_step_effects *out);
/* The i-th frame on its way, in order of delivery. False: there are fewer. */
TG_API bool tg_stepper_queue(struct tg_stepper *w, uint32_t i, struct tg_step_frame *out);

/* ---- Doing ----------------------------------------------------------------------------------- */

/* The next event happens. done and fx may be NULL. False: there is none, done says NOTHING or END
 * (or, of a live world, a TIMER that is not due). */
TG_API bool tg_stepper_step(
	struct tg_stepper *w, struct tg_step_event *done, struct tg_step_effects *fx);

enum tg_step_act {
	TG_ACT_NONE,
	/* Calls of the user's at `end`. */
	TG_ACT_CONNECT,  /* a new stream to addr: its handle */
	TG_ACT_LISTEN,   /* a new listener at addr: its handle */
	TG_ACT_ACCEPT,   /* sock: the new handle, or -TG_EAGAIN */
	TG_ACT_SEND,     /* sock, bytes, data (NULL: letters in turn), flags in how: bytes taken */
	TG_ACT_RECV,     /* sock, bytes at most: bytes read */
	TG_ACT_SHUTDOWN, /* sock, how: TG_SHUT_* */
	TG_ACT_CLOSE,    /* sock */
	TG_ACT_ABORT,    /* sock */
	TG_ACT_SETOPT,   /* sock, option, value */
	/* To the frames on their way. */
	TG_ACT_DELIVER, /* frame_id: now, before all others */
	TG_ACT_DROP,    /* frame_id */
	TG_ACT_DUP,     /* frame_id: a copy follows it; result: its id */
	TG_ACT_SWAP,    /* frame_id, frame_id2: each comes in the other's place */
	TG_ACT_CORRUPT, /* frame_id, offset: that octet is inverted */
	TG_ACT_DELAY,   /* frame_id, ns: comes so much later */
	/* The clock goes on by ns, in which nothing else may be due. */
	TG_ACT_ADVANCE,
	TG_ACT_COUNT
};
TG_API const char *tg_step_act_name(unsigned act); /* "connect"; "?" out of range */

struct tg_step_action {
	uint8_t act, end; /* enum tg_step_act; 0 or 1 */
	int how;
	tg_sock sock;
	struct tg_addr addr;
	uint32_t bytes;
	const void *data;
	uint32_t frame_id, frame_id2, offset;
	uint64_t ns;
	unsigned option;
	int64_t value;
};
#define TG_STEP_DATA_MAX 65536u /* bytes of one SEND or RECV */

/* Does it, as an event. *why NULL: it happened, the result is that of the call (a negative one is
 * what the application was told). *why in words: it is impossible here, nothing has happened, and
 * the words say what would work; the result is then negative. After going back, what came behind
 * the present position is kept as a branch of a name of its own (`tg_stepper_branch`). */
TG_API int64_t tg_stepper_act(struct tg_stepper *w, const struct tg_step_action *a,
	struct tg_step_event *done, struct tg_step_effects *fx, const char **why);

/* ---- Time travel ----------------------------------------------------------------------------- */

/* To any position from tg_stepper_first to tg_stepper_last, and beyond as far as there are events.
 * False: *why. A live world shows those positions of its past that are still kept, and the next
 * step returns to now. */
TG_API bool tg_stepper_goto(struct tg_stepper *w, uint64_t position, const char **why);
/* The earliest position that can be gone to: 0 until the log is full, and always of a journal. */
TG_API uint64_t tg_stepper_first(const struct tg_stepper *w);
/* What was done as event `number`. False: no such event, or forgotten. */
TG_API bool tg_stepper_past(struct tg_stepper *w, uint64_t number, struct tg_step_event *out);
/* ... and by the user: with data while there was some, else false. */
TG_API bool tg_stepper_past_action(
	struct tg_stepper *w, uint64_t number, struct tg_step_action *out);

#define TG_STEP_BRANCHES   16u
#define TG_STEP_NAME_BYTES 32u
/* Keeps what lies behind the present position under a name; stepping on from here does otherwise.
 * The line of events that goes on has the name it had, at first "main". */
TG_API bool tg_stepper_fork(struct tg_stepper *w, const char *name, const char **why);
/* The i-th line of events that was kept: the position at which it leaves the present one, and its
 * last position. */
TG_API bool tg_stepper_branch(
	struct tg_stepper *w, uint32_t i, const char **name, uint64_t *forked_at, uint64_t *last);
/* Name of the present line. */
TG_API const char *tg_stepper_line(const struct tg_stepper *w);
/* Keeps the present line under its name, and goes on with another, at its last position. */
TG_API bool tg_stepper_switch(struct tg_stepper *w, const char *name, const char **why);

#ifdef __cplusplus
}
#endif
#endif
