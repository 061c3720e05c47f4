/* The stepper's inside: what its files share.
 *
 * step          the calls of tapglass_step.h that look and do, for every world
 * step_effects  what an event did: traces, rules, TCBs, frames; the hash of a world
 * step_history  snapshots, the log of what was done, going to a position
 * step_branch   lines of events that were kept
 * step_text     calls in words
 * step_timers   which timers a deadline stands for
 * step_lab      two instances; step_queue: the frames between them
 * step_call     the user's calls on an instance
 * step_script   a packet script, run anew for every position; step_script_run: these runs;
 *               step_notes: its comments
 * step_journal  a recorded run
 * step_live     an instance that somebody else drives */
#ifndef TG_SIM_STEP_H
#define TG_SIM_STEP_H

#include "base/chain.h"
#include "core/core.h"
#include "core/rule.h"
#include "tapglass_step.h"

#define STEP_FRAME_MAX  69632u  /* bytes of a frame */
#define STEP_SNAPS      2048u   /* snapshots at most */
#define STEP_TCBS       64u     /* connections of an end whose state before an event is kept */
#define STEP_SETTLE_MAX 100000u /* steps of an instance at one moment */
#define STEP_EPOCH_NS   (1000 * NS_PER_SEC) /* clock of a lab's instances when it begins */

struct tg_stepper;

/* What a kind of world does. Where `why` is a result, NULL means that it is possible. */
struct step_ops {
	/* What comes next by itself; the world is as before. Time, kind, end, conn, timers, frame,
	 * line, note and text are its to fill in. */
	void (*next)(struct tg_stepper *w, struct tg_step_event *ev);
	/* It happens. ev: what next told. */
	void (*go)(struct tg_stepper *w, const struct tg_step_event *ev);
	/* Is this possible, and as what event would it be told? */
	const char *(*may)(
		struct tg_stepper *w, const struct tg_step_action *a, struct tg_step_event *ev);
	/* It happens: the result. */
	int64_t (*act)(struct tg_stepper *w, const struct tg_step_action *a);
	/* The state, the stepper's own excepted. */
	size_t (*bytes)(struct tg_stepper *w);
	void (*save)(struct tg_stepper *w, uint8_t *buf, size_t bytes);
	void (*restore)(struct tg_stepper *w, const uint8_t *buf, size_t bytes);
	bool (*queue)(struct tg_stepper *w, uint32_t i, struct tg_step_frame *out);
	/* Into the hash, beside the instances. NULL: nothing. */
	uint64_t (*hash)(struct tg_stepper *w, uint64_t h);
	/* Of a world that cannot do again what it did; NULL: it can. */
	const struct step_live_ops *live;
	/* What it does comes from a file, not from the user. It may lie: the same again need not do
	 * the same. */
	bool foreign;
};

struct step_live_ops {
	/* There is nothing to do: what nobody would notice is done. */
	void (*idle)(struct tg_stepper *w);
	/* A snapshot can be put back: 0, or why not. */
	const char *(*fixed)(const struct tg_stepper *w);
};

/* What goes with the world's state into a snapshot. */
struct step_state {
	uint64_t position;
	uint64_t now_ns; /* by the instances' clocks */
	uint64_t chain;  /* hash of all that came out of the world so far */
	uint64_t trace_cursor[2];
};

/* A snapshot: the state stands behind it. */
struct step_block {
	struct list node; /* by address */
	size_t bytes;     /* with this head */
	size_t image_bytes;
	uint64_t position;
	struct step_state st;
	uint64_t pad;
};

/* One event as it is kept; frame, text and action stand behind it. */
struct step_entry {
	uint64_t chain; /* of the world after it */
	uint64_t time_ns;
	const char *note;
	uint32_t note_bytes, conn, timers, frame_id, frame_bytes, frame_here, line;
	uint32_t text_bytes;
	uint32_t data_bytes; /* of the action; UINT32_MAX: none was given */
	uint8_t kind, end, link, act;
	struct tg_step_action action; /* with act */
};

/* A log of entries for positions first + 1 to first + n, in a range of memory that is filled from
 * its start with entries and from its end with their offsets. */
struct step_log {
	uint8_t *mem;
	size_t bytes, used;
	uint64_t first;
	uint64_t n;
};

struct step_branch {
	char name[TG_STEP_NAME_BYTES];
	uint8_t *inputs; /* struct step_input, each with its data behind it */
	size_t bytes;
	uint64_t first; /* inputs before are not known */
	uint64_t last;
};

/* An action and when it was done, as branches keep it. */
struct step_input {
	uint64_t number;
	uint32_t data_bytes; /* UINT32_MAX: none was given */
	uint32_t bytes;      /* to the next input */
	struct tg_step_action action;
};

/* One end before an event. */
struct step_before {
	uint32_t n;
	bool whole;      /* all there were */
	uint32_t serial; /* of the newest connection */
	struct tg_tcb tcb[STEP_TCBS];
};

struct tg_stepper {
	const struct step_ops *ops;
	void *world; /* of the ops */
	struct tg_step_options o;
	struct tg *inst[2];
	uint64_t epoch_ns;
	struct step_state st;

	bool next_known;
	struct tg_step_event next;
	bool next_by_hand;    /* next_action did it */
	bool next_unforeseen; /* what it does is not known before */
	struct tg_step_action next_action;

	/* While an event happens. */
	struct tg_step_effects *fx; /* NULL: nobody wants to know */
	struct step_before before[2];
	struct rule_book book[2]; /* of the instances, but for a live one: not in their memory,
				   * whose shortage has to come as it did when a run was recorded */
	uint64_t told;            /* traces, frames and events so far: has anything come out? */
	bool muted;               /* what comes out was told before */
	bool dry;                 /* it is only tried: nothing may leave the world */

	/* History. */
	struct step_log log;
	uint8_t *snaps_mem;
	size_t snaps_bytes;
	struct list blocks;                  /* struct step_block */
	struct step_block *snap[STEP_SNAPS]; /* by position */
	uint32_t n_snaps;
	struct step_branch branch[TG_STEP_BRANCHES];
	uint32_t n_branches;
	uint8_t *branch_mem;
	size_t branch_bytes, branch_used;
	char line[TG_STEP_NAME_BYTES];
	uint32_t lines;         /* names given by ourselves so far */
	struct step_block *now; /* live: the present, while the past is looked at */

	uint8_t frame[STEP_FRAME_MAX]; /* of the event that is told */
	uint8_t data[STEP_FRAME_MAX];  /* of a call of the user's */
};

/* ---- step.c ---------------------------------------------------------------------------------- */

/* The stepper at the start of the memory, its history cut up; *rest is what is left of the memory,
 * page-aligned. NULL: *why. */
struct tg_stepper *step_create(const struct tg_step_options *o, const struct step_ops *ops,
	uint8_t **rest, size_t *rest_bytes, const char **why);
/* The world is made: the first snapshot. False: *why. */
bool step_begin(struct tg_stepper *w, uint64_t epoch_ns, const char **why);
/* What comes next, in w->next. */
void step_look(struct tg_stepper *w);
/* It happens; false: there is nothing. */
bool step_do(struct tg_stepper *w, struct tg_step_event *done, struct tg_step_effects *fx);
/* This happens, by itself or (a not NULL) by the user's hand. keep: it is logged. The result. */
int64_t step_happen(struct tg_stepper *w, const struct tg_step_event *what,
	const struct tg_step_action *a, bool keep, struct tg_step_event *done,
	struct tg_step_effects *fx);
/* Lets the instance act at the present time, and its applications be told. */
void step_settle(struct tg_stepper *w, unsigned end);
/* Puts bytes into an instance; false: it has no memory for them. */
bool step_input(struct tg *s, unsigned netif, const uint8_t *data, uint32_t bytes, uint64_t now_ns);

/* ---- step_effects.c -------------------------------------------------------------------------- */

void step_effects_begin(
	struct tg_stepper *w, struct tg_step_effects *fx, uint32_t conn, unsigned end);
/* The traces and all that was told since are taken in; position as it is. */
void step_effects_end(struct tg_stepper *w, int64_t result);
/* A frame was sent. */
void step_told_frame(struct tg_stepper *w, unsigned end, const struct tg_frame *f, uint32_t id);
/* An application of ours was told. */
void step_told_event(struct tg_stepper *w, unsigned end, const struct tg_event *e);
void step_told_bytes(struct tg_stepper *w, const void *data, uint32_t n);
uint64_t step_hash(struct tg_stepper *w);

/* ---- step_history.c -------------------------------------------------------------------------- */

/* The present state is kept, as long as there is room for it. */
void step_snap_take(struct tg_stepper *w);
/* ... if the last one is so far behind that it is worth what it costs. */
void step_snap_now_and_then(struct tg_stepper *w);
/* The present state for a moment, or NULL: no room. step_unpin puts it back, if wanted. */
struct step_block *step_pin(struct tg_stepper *w);
void step_unpin(struct tg_stepper *w, struct step_block *k, bool restore);
void step_snaps_cut(struct tg_stepper *w, uint64_t position); /* those behind it are forgotten */
/* Live: returns from the past. */
void step_return(struct tg_stepper *w);
/* False: *why. */
bool step_goto(struct tg_stepper *w, uint64_t position, const char **why);
/* The event that has just happened, unless it is known. */
void step_log_add(
	struct tg_stepper *w, const struct tg_step_event *ev, const struct tg_step_action *a);
void step_log_cut(struct tg_stepper *w, uint64_t position); /* what comes behind is forgotten */
/* NULL: not known. data: of its action. */
const struct step_entry *step_log_at(const struct tg_stepper *w, uint64_t number);
void step_entry_event(const struct step_entry *e, uint64_t number, struct tg_step_event *out);
void step_entry_action(const struct step_entry *e, struct tg_step_action *out);

/* ---- step_branch.c --------------------------------------------------------------------------- */

/* What lies behind the present position is kept under a name of its own, as far as there is room.
 */
void step_branch_keep(struct tg_stepper *w);

/* ---- step_timers.c --------------------------------------------------------------------------- */

/* The timers of TCP that are due at t_ns, as 1u << enum tg_timer; *conn the first connection's. */
uint32_t step_timers_due(const struct tg *s, uint64_t t_ns, uint32_t *conn);

/* ---- step_text.c, step_call.c ---------------------------------------------------------------- */

void step_text_action(const struct tg_step_action *a, char *out, size_t cap);
void step_text_timers(uint32_t timers, char *out, size_t cap);
/* A call of the user's on instance s at now_ns: the result. */
int64_t step_call(
	struct tg_stepper *w, struct tg *s, const struct tg_step_action *a, uint64_t now_ns);
/* NULL: such a call can be made. */
const char *step_call_may(struct tg *s, const struct tg_step_action *a, struct tg_step_event *ev);
/* The connection of a socket; 0: none. */
uint32_t step_conn_of(const struct tg *s, tg_sock k);
/* Who gets this frame at instance s: a connection's serial number; 0: none. */
uint32_t step_conn_of_frame(
	const struct tg *s, enum tg_link link, const uint8_t *data, uint32_t bytes);

#endif
