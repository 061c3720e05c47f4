/* Going on and going back: step, next, continue, finish, until, advance, back, goto, fork. */
#define _GNU_SOURCE 1
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "step.h"
#include "step_live.h"

/* One command does no more events than this: a world may go on for ever. */
#define EVENTS_MAX 100000u
#define TIME_MAX   (200 * UINT64_C(31557600) * NS_PER_S)

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

static void catch_interrupt(bool on)
{
	struct sigaction a = {.sa_handler = on ? on_interrupt : SIG_DFL};

	interrupted = 0;
	sigaction(SIGINT, &a, NULL);
}

static volatile sig_atomic_t ended_by;

static void on_end(int number)
{
	ended_by = number;
	interrupted = 1;
}

void run_catch_end(void)
{
	struct sigaction a = {.sa_handler = on_end, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGTERM, &a, NULL);
	sigaction(SIGHUP, &a, NULL);
}

bool run_ended(struct repl *r)
{
	if (ended_by != 0) {
		interrupted = 1;
		r->quit = true;
	}
	return ended_by != 0;
}

/* In a live world: the clock goes on until what was shown happens, or something else comes before
 * it, or until_ns. False: the latter, or nothing came at all; the stop is to be shown. Out of the
 * past it comes back to now, which is a stop too. */
static bool live_ready(struct repl *r, uint64_t until_ns)
{
	struct tg_step_event shown = r->next, now;
	const char *why = NULL;

	if (r->world != WORLD_LIVE) {
		return true;
	}
	if (tg_stepper_position(r->w) < tg_stepper_last(r->w)) {
		tg_stepper_goto(r->w, tg_stepper_last(r->w), &why);
		break_moved(r);
		puts("  (back to now)");
		return false;
	}
	if (!live_wait(r, until_ns, &interrupted) || run_ended(r)) {
		return false;
	}
	tg_stepper_next(r->w, &now);
	return now.kind == shown.kind && now.frame_id == shown.frame_id &&
	       now.timers == shown.timers;
}

/* The next event happens. False: there is none. */
static bool one(struct repl *r)
{
	if (!tg_stepper_step(r->w, &r->last, &r->did)) {
		return false;
	}
	r->have_did = true;
	moves_note(r);
	return true;
}

void run_done(struct repl *r)
{
	const struct conn_name *n;

	r->have_did = true;
	moves_note(r);
	n = name_of_serial(r, r->last.end, r->last.conn);
	if (n != NULL && !n->listener) {
		snprintf(r->current, sizeof r->current, "%s", n->name);
	}
	did_show(r);
	stop_read(r, true);
	stop_show(r, NULL);
}

void run_step(struct repl *r, char *args)
{
	uint64_t n;

	if (!count_parse(r, word_next(&args), &n)) {
		return;
	}
	catch_interrupt(true);
	while (n-- > 0) {
		if (!live_ready(r, UINT64_MAX) || !one(r)) {
			catch_interrupt(false);
			stop_read(r, true);
			stop_show(r, NULL);
			return;
		}
		did_show(r);
		stop_read(r, false);
	}
	catch_interrupt(false);
	stop_read(r, true);
	stop_show(r, NULL);
}

/* What ends a run; NULL: it goes on. The text is in buf. */
typedef bool stop_fn(struct repl *r, const void *arg, char *buf, size_t cap);

/* May so many events happen at one command? A lab may go on for ever; scripts and records end. */
static bool too_many(struct repl *r, uint64_t n, char *why, size_t cap)
{
	if (interrupted || run_ended(r)) {
		snprintf(why, cap, "interrupted");
	} else if (r->world == WORLD_LAB && n >= EVENTS_MAX) {
		snprintf(why, cap, "100,000 events have passed; \"continue\" goes on");
	} else {
		return false;
	}
	return true;
}

/* Events happen until one of the breakpoints, or stop, says so. at_once: even before the first. */
static void run_while(struct repl *r, stop_fn *stop, const void *arg, bool at_once)
{
	char why[256] = "";
	bool ended = at_once && break_before(r, true, why, sizeof why);
	uint64_t n = 0;

	catch_interrupt(true);
	while (!ended) {
		/* what came before it is a stop of its own: breakpoints may want it */
		if (live_ready(r, UINT64_MAX) && !one(r)) {
			break;
		}
		ended = break_after(r, true, why, sizeof why) ||
			(stop != NULL && stop(r, arg, why, sizeof why));
		stop_read(r, break_any(r));
		if (!ended) {
			ended = break_before(r, true, why, sizeof why) ||
				too_many(r, ++n, why, sizeof why);
		}
	}
	catch_interrupt(false);
	stop_read(r, true);
	stop_show(r, why[0] != '\0' ? why : NULL);
}

struct same_end {
	unsigned end;
	uint64_t from;
};

static bool at_end(struct repl *r, const void *arg, char *buf, size_t cap)
{
	const struct same_end *a = arg;
	struct tg_step_event e;

	(void)buf;
	(void)cap;
	tg_stepper_next(r->w, &e);
	return e.end == a->end && e.kind != TG_STEP_NOTHING && e.kind != TG_STEP_END;
}

void run_next(struct repl *r, char *args)
{
	struct same_end a = {r->next.end, tg_stepper_position(r->w)};

	(void)args;
	run_while(r, at_end, &a, false);
}

void run_continue(struct repl *r, char *args)
{
	(void)args;
	run_while(r, NULL, NULL, false);
}

static bool is_closed(struct repl *r, const void *arg, char *buf, size_t cap)
{
	const struct conn_name *n = arg;
	struct tg_tcb t;

	if (tcb_of_name(r, n, &t) && t.v[TG_TCB_STATE] != TG_CLOSED) {
		return false;
	}
	snprintf(buf, cap, "%s is closed", n->name);
	return true;
}

void run_finish(struct repl *r, char *args)
{
	const struct conn_name *n = name_wanted(r, word_next(&args));
	struct conn_name copy;
	struct tg_tcb t;

	if (n == NULL) {
		return;
	}
	copy = *n;
	if (!tcb_of_name(r, n, &t)) {
		refuse(r, "%s is closed already", n->name);
		return;
	}
	run_while(r, is_closed, &copy, false);
}

/* The same live: what comes until then happens. */
static void run_live_to(struct repl *r, uint64_t until_ns)
{
	uint64_t clock_ns = until_ns + tg_stepper_epoch(r->w);
	char why[256] = "";
	bool ended = false;

	catch_interrupt(true);
	stop_read(r, break_any(r));
	while (!ended && !interrupted && !run_ended(r)) {
		if (live_ready(r, clock_ns)) {
			if (!one(r)) {
				break;
			}
			ended = break_after(r, true, why, sizeof why);
		} else if (tg_stepper_now(r->w) >= until_ns) {
			break;
		}
		stop_read(r, break_any(r));
		ended = ended || break_before(r, true, why, sizeof why);
		ended = ended || (r->next.time_ns >= until_ns && r->next.kind != TG_STEP_FRAME);
	}
	catch_interrupt(false);
	stop_read(r, true);
	stop_show(r, why[0] != '\0' ? why : NULL);
}

/* Everything up to that time, and then the clock stands there. */
static void run_to(struct repl *r, uint64_t until_ns)
{
	struct tg_step_action a = {.act = TG_ACT_ADVANCE};
	char why[256] = "";
	bool ended = false;
	uint64_t now, n = 0;

	if (r->world == WORLD_LIVE) {
		run_live_to(r, until_ns);
		return;
	}
	catch_interrupt(true);
	stop_read(r, break_any(r));
	while (!ended && r->next.kind != TG_STEP_NOTHING && r->next.kind != TG_STEP_END &&
		r->next.time_ns <= until_ns && one(r)) {
		ended = break_after(r, true, why, sizeof why);
		stop_read(r, break_any(r));
		ended = ended || too_many(r, ++n, why, sizeof why) ||
			(r->next.time_ns <= until_ns && break_before(r, true, why, sizeof why));
	}
	catch_interrupt(false);
	now = tg_stepper_now(r->w);
	if (!ended && now < until_ns) {
		const char *error = NULL;

		a.ns = until_ns - now;
		tg_stepper_act(r->w, &a, &r->last, &r->did, &error);
		if (error != NULL) {
			snprintf(why, sizeof why, "%s", error);
		}
	}
	stop_read(r, true);
	stop_show(r, why[0] != '\0' ? why : NULL);
}

void run_until(struct repl *r, char *args)
{
	const char *word = word_next(&args);
	uint64_t ns;

	if (word == NULL || !time_parse(word, &ns)) {
		refuse(r, "until when? a time since the beginning: until 1.5s");
	} else if (ns < tg_stepper_now(r->w)) {
		refuse(r, "that time has passed: \"back\" and \"goto\" go back");
	} else if (ns > TIME_MAX) {
		refuse(r, "the clock goes no further than two hundred years");
	} else {
		run_to(r, ns);
	}
}

void run_advance(struct repl *r, char *args)
{
	const char *word = word_next(&args);
	uint64_t ns;

	if (word == NULL || !time_parse(word, &ns)) {
		refuse(r, "for how long? a time: advance 200ms");
	} else if (ns > TIME_MAX || tg_stepper_now(r->w) > TIME_MAX - ns) {
		refuse(r, "the clock goes no further than two hundred years");
	} else {
		run_to(r, tg_stepper_now(r->w) + ns);
	}
}

/* ---- Back ------------------------------------------------------------------------------------ */

/* Forwards it goes through all events, so that the pictures have them. */
static bool pass(struct repl *r, uint64_t position)
{
	uint64_t at = tg_stepper_position(r->w);
	char end[256];
	const char *why = NULL;

	if (position <= at || r->world == WORLD_LIVE) {
		if (!tg_stepper_goto(r->w, position, &why)) {
			refuse(r, "%s", why);
			return false;
		}
		moves_cut(r);
	}
	while (tg_stepper_position(r->w) < position) {
		if (too_many(r, tg_stepper_position(r->w) - at, end, sizeof end)) {
			puts(end);
			break;
		}
		if (!one(r)) {
			refuse(r, "there are %" PRIu64 " events so far", tg_stepper_position(r->w));
			return false;
		}
	}
	r->have_did = false;
	r->note_line = 0;
	return true;
}

static bool go(struct repl *r, uint64_t position)
{
	bool good;

	catch_interrupt(true);
	good = pass(r, position);
	catch_interrupt(false);
	break_moved(r);
	return good;
}

void run_restart(struct repl *r, char *args)
{
	(void)args;
	if (r->world == WORLD_LIVE) {
		refuse(r, "what the host did cannot be done again: \"continue\" goes on");
		return;
	}
	if (!go(r, tg_stepper_first(r->w))) {
		return;
	}
	stop_read(r, break_any(r));
	run_while(r, NULL, NULL, true);
}

void run_back(struct repl *r, char *args)
{
	uint64_t n, at = tg_stepper_position(r->w), first = tg_stepper_first(r->w);

	if (!count_parse(r, word_next(&args), &n)) {
		return;
	}
	if (at == first) {
		refuse(r, first == 0 ? "this is the beginning: nothing has happened before it"
				     : "what happened before this has been forgotten");
		return;
	}
	if (!go(r, n > at - first ? first : at - n)) {
		return;
	}
	while (r->world == WORLD_LIVE && live_skips(r) && tg_stepper_position(r->w) > first &&
		go(r, tg_stepper_position(r->w) - 1)) {
	}
	stop_read(r, true);
	stop_show(r, NULL);
}

void run_reverse_continue(struct repl *r, char *args)
{
	uint64_t at = tg_stepper_position(r->w), first = tg_stepper_first(r->w), found = first;
	char why[256] = "", text[256];

	(void)args;
	if (at == first) {
		refuse(r, "this is the beginning: nothing has happened before it");
		return;
	}
	/* forward from the beginning: the last stop before here is where we go */
	if (!break_any(r)) {
		if (go(r, first)) {
			stop_read(r, true);
			stop_show(r, "the beginning");
		}
		return;
	}
	catch_interrupt(true);
	for (uint64_t i = first; i < at && pass(r, i) && !interrupted; i++) {
		if (i == first) {
			break_moved(r);
		}
		stop_read(r, true);
		if (break_after(r, false, text, sizeof text) ||
			break_before(r, false, text, sizeof text)) {
			found = i;
			memcpy(why, text, sizeof why);
		}
	}
	catch_interrupt(false);
	if (go(r, found)) {
		stop_read(r, true);
		stop_show(r, why[0] != '\0' ? why : "the beginning");
	}
}

void run_begin(struct repl *r, uint64_t position)
{
	stop_read(r, false);
	go(r, position);
	stop_read(r, true);
	stop_show(r, NULL);
}

void run_goto(struct repl *r, char *args)
{
	const char *word = word_next(&args);
	uint64_t n;

	if (word == NULL || !parse_u64(word, 0, UINT64_MAX / 2, &n)) {
		refuse(r, "to which event? a number: goto 17");
		return;
	}
	if (go(r, n)) {
		stop_read(r, true);
		stop_show(r, NULL);
	}
}

/* ---- Branches -------------------------------------------------------------------------------- */

void run_fork(struct repl *r, char *args)
{
	const char *name = word_next(&args), *why = NULL;

	if (name == NULL) {
		refuse(r, "under which name is what lies ahead to be kept? fork NAME");
	} else if (!tg_stepper_fork(r->w, name, &why)) {
		refuse(r, "%s", why);
	} else {
		printf("what lies ahead is kept as %s; from here on you do otherwise\n", name);
		stop_read(r, true);
		stop_show(r, NULL);
	}
}

void run_branches(struct repl *r, char *args)
{
	uint64_t at, last;
	const char *name;

	(void)args;
	printf("  %-20s  (here) events 1 to %" PRIu64 "\n", tg_stepper_line(r->w),
		tg_stepper_last(r->w));
	for (uint32_t i = 0; tg_stepper_branch(r->w, i, &name, &at, &last); i++) {
		printf("  %-20s  leaves after event %" PRIu64 ", goes to %" PRIu64 "\n", name, at,
			last);
	}
}

void run_switch(struct repl *r, char *args)
{
	const char *name = word_next(&args), *why = NULL;
	uint64_t last;

	if (name == NULL) {
		refuse(r, "to which? \"branches\" lists them");
		return;
	}
	if (!tg_stepper_switch(r->w, name, &why)) {
		refuse(r, "%s", why);
		return;
	}
	last = tg_stepper_position(r->w);
	if (r->world != WORLD_LIVE && (!go(r, tg_stepper_first(r->w)) || !go(r, last))) {
		return;
	}
	stop_read(r, true);
	stop_show(r, NULL);
}
