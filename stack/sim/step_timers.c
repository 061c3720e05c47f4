/* Which timers of TCP stand behind a deadline of an instance. Those of ARP, reassembly and path
 * MTUs have no name here. */
#include "sim/step.h"

/* The bit of a deadline in the TCB; 0: pacing has none of its own. */
static const struct {
	uint8_t field, timer;
} named[] = {
	{TG_TCB_T_REXMIT, TG_TIMER_REXMIT},
	{TG_TCB_T_PERSIST, TG_TIMER_PERSIST},
	{TG_TCB_T_PROBE, TG_TIMER_LOSS_PROBE},
	{TG_TCB_T_REORDER, TG_TIMER_REORDERING},
	{TG_TCB_T_DELACK, TG_TIMER_DELACK},
	{TG_TCB_T_KEEP, TG_TIMER_KEEPALIVE},
	{TG_TCB_T_STATE, TG_TIMER_STATE},
};

uint32_t step_timers_due(const struct tg *s, uint64_t t_ns, uint32_t *conn)
{
	uint64_t cursor = 0;
	uint32_t due = 0;
	struct tg_tcb t;

	*conn = 0;
	while (tg_tcb_next(s, &cursor, &t)) {
		uint32_t of_this = 0;

		for (size_t i = 0; i < ARRAY_LEN(named); i++)
			if (t.v[named[i].field] <= t_ns)
				of_this |= 1u << named[i].timer;
		if (of_this && !due)
			*conn = t.conn;
		due |= of_this;
	}
	return due;
}
