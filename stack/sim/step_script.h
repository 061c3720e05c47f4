/* A packet script, stepped through. The engine of scripts runs to the end or not at all; it asks
 * before each event whether to go on (drill_hook.c), and a position is a run from the start that
 * was ended there. What the asker was asked for is counted: the number is the event's place, the
 * same in every run as long as nothing before it is changed. */
#ifndef TG_SIM_STEP_SCRIPT_H
#define TG_SIM_STEP_SCRIPT_H

#include "sim/drill.h"
#include "sim/step.h"

#define SCRIPT_ACTS   1024u
#define SCRIPT_EVENTS (512u * 1024)
#define SCRIPT_NEVER  UINT32_MAX

/* What the user did, before what was to come at a place. */
struct script_act {
	uint32_t place;
	uint64_t now_ns;
	struct tg_step_action a;
};

struct script_note {
	uint32_t off, bytes;
};

struct script {
	struct tg_stepper *w;
	struct drill *d;
	struct drill_hooks hooks;
	struct tg_drill_result r;

	/* What every run begins with. */
	struct drill start;
	uint8_t *fresh, *held; /* images: of the new instance; of it where the run was stopped */
	size_t fresh_bytes, held_bytes, image_room;

	uint32_t n_acts, n_surveyed; /* UINT32_MAX: no survey holds */
	struct script_act act[SCRIPT_ACTS];
	uint8_t *data; /* of the acts */
	size_t data_bytes, data_room;

	/* Places of the events, in order. */
	uint32_t *place;
	uint32_t n_events;

	/* The run in progress. */
	bool survey;
	uint32_t at, stop_at, tell_from; /* places */
	uint32_t next_act, injected;
	bool twice;    /* the next packet comes twice */
	uint64_t came; /* frames and events so far */
	struct {
		uint32_t place;
		bool timer;
		uint64_t came, traces;
	} pending;      /* the place before: has anything come of it? */
	int64_t result; /* of the user's call */

	/* Where it stands. */
	bool over, packet; /* ended; a packet is to be injected */
	struct tg_step_event next;

	uint8_t *notes;
	struct script_note *line; /* by number of the line */
	uint32_t n_lines;

	uint8_t hold[65536];
};

/* step_script_run.c */
void script_hooks(struct script *x);
/* A whole run, to learn the places. */
void script_survey(struct script *x);
/* A run to the position; what comes out of its last event is told. tell false: of none. */
void script_run(struct script *x, uint64_t position, bool tell);

/* step_notes.c */
/* Bytes that the notes of this text need at most. */
size_t script_notes_room(const char *text, size_t n);
void script_notes_read(struct script *x, const char *text, size_t n, uint8_t *mem);
/* Fills in line, text and note of an event. */
void script_notes_tell(const struct script *x, uint32_t line, struct tg_step_event *ev);

#endif
