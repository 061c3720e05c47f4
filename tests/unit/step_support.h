/* What the stepper's tests share: memory for a world, and events that are held against what was
 * predicted. */
#ifndef STEP_SUPPORT_H
#define STEP_SUPPORT_H

#include <string.h>
#include <sys/mman.h>

#include "base/base.h"
#include "tapglass_step.h"
#include "unit.h"

#define STEP_HISTORY (24u << 20)

/* Anonymous zero memory, reserved. */
static inline void *step_map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ck_assert(p != MAP_FAILED);
	return p;
}

/* Fresh memory for a world of so many bytes, and the options of a lab. */
static inline void step_options(struct tg_step_options *o, size_t mem_bytes)
{
	tg_step_options_default(o);
	o->mem = step_map(mem_bytes);
	o->mem_bytes = mem_bytes;
	o->history = step_map(STEP_HISTORY);
	o->history_bytes = STEP_HISTORY;
}

static inline void step_free(const struct tg_step_options *o)
{
	munmap(o->mem, o->mem_bytes);
	munmap(o->history, o->history_bytes);
}

/* The next event, which must do what was predicted of it. False: there is none. */
static inline bool step_predicted(
	struct tg_stepper *w, struct tg_step_event *done, struct tg_step_effects *out)
{
	static struct tg_step_effects before, after;
	struct tg_step_event next;
	uint64_t hash = tg_stepper_hash(w);
	bool told = tg_stepper_predict(w, &before), happened;

	UNIT_CHECK(tg_stepper_hash(w) == hash); /* looking changes nothing */
	tg_stepper_next(w, &next);
	happened = tg_stepper_step(w, done, &after);
	UNIT_CHECK(happened == told);
	UNIT_CHECK(done->kind == next.kind && done->end == next.end);
	UNIT_CHECK(done->time_ns == next.time_ns && done->number == next.number);
	UNIT_CHECK(memcmp(&before, &after, sizeof(before)) == 0);
	UNIT_CHECK(!happened || after.hash == tg_stepper_hash(w));
	if (out)
		*out = after;
	return happened;
}

#endif
