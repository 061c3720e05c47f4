/* The trace ring, and what the tools read of an instance as a whole: counters, memory. */
#include "core/core_impl.h"

_Static_assert(sizeof(struct tg_trace) == 64, "a record is one cache line");

struct tg_trace *trace_add(struct tg *s, enum tg_trace_kind kind)
{
	struct tg_trace *t;

	if (!s->trace)
		return NULL;
	t = &s->trace[s->trace_head++ & (s->cfg.trace_records - 1)];
	memset(t, 0, sizeof(*t));
	t->time_ns = s->now_ns;
	t->frame = (uint32_t)s->cur_frame;
	t->kind = (uint8_t)kind;
	return t;
}

bool tg_trace_next(const struct tg *s, uint64_t *cursor, struct tg_trace *out, uint64_t *lost)
{
	uint64_t oldest;

	if (!s->trace)
		return false;
	/* A cursor of before a snapshot was restored points to what has not happened (again) yet.
	 */
	if (*cursor >= s->trace_head) {
		*cursor = s->trace_head;
		return false;
	}
	oldest = s->trace_head - min_u64(s->trace_head, s->cfg.trace_records);
	if (*cursor < oldest) {
		if (lost)
			*lost += oldest - *cursor;
		*cursor = oldest;
	}
	*out = s->trace[(*cursor)++ & (s->cfg.trace_records - 1)];
	return true;
}

const struct tg_counters *tg_counters(const struct tg *s)
{
	return &s->counters;
}

void tg_memory_stats(const struct tg *s, struct tg_memory *out)
{
	struct arena_stats st;

	arena_get_stats(s->arena, &st);
	out->reserved_bytes = st.reserved;
	out->budget_bytes = st.budget;
	out->in_use_bytes = st.in_use;
	out->page_bytes = st.pages;
	out->failures = st.failures;
}

void tg_memory_fail_after(struct tg *s, uint64_t countdown, uint64_t period)
{
	const struct tg_record r = {
		.type = TG_RECORD_FAIL_AFTER, .n_words = 2, .word = {countdown, period}};

	arena_fail_after(s->arena, countdown, period);
	record_call(s, &r);
}
