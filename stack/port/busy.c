/* How long to poll before sleeping: see busy.h. */
#include "port/busy.h"

#include "tapglass_host.h"

void busy_init(struct busy *b, uint64_t busy_ns, uint64_t now_ns)
{
	*b = (struct busy){.adapts = busy_ns == TG_HOST_BUSY_AUTO,
		.window_ns = busy_ns == TG_HOST_BUSY_AUTO ? 0 : busy_ns,
		.worked_ns = now_ns};
}

bool busy_is_over(struct busy *b, uint64_t now_ns)
{
	bool over = !b->window_ns || now_ns < b->rest_ns ||
		    now_ns >= sat_add_u64(b->worked_ns, b->window_ns);

	if (over)
		b->slept_ns = now_ns;
	return over;
}

void busy_woken(struct busy *b, uint64_t now_ns, bool work)
{
	uint64_t slept_ns = now_ns > b->slept_ns ? now_ns - b->slept_ns : 0;
	bool polled = b->window_ns && b->slept_ns >= b->rest_ns;

	if (work)
		b->worked_ns = now_ns;
	if (!b->adapts || !work)
		return;
	if (slept_ns > BUSY_MOST_NS) {
		b->window_ns = b->window_ns / 2 < BUSY_LEAST_NS ? 0 : b->window_ns / 2;
		b->vain = 0;
		return;
	}
	b->vain = polled ? b->vain + 1 : 0;
	b->window_ns = min_u64(max_u64(2 * b->window_ns, BUSY_LEAST_NS), BUSY_MOST_NS);
	if (b->vain < BUSY_VAIN_MAX)
		return;
	b->rest_ns = now_ns + BUSY_REST_NS;
	b->window_ns = BUSY_LEAST_NS;
	b->vain = 0;
}

void busy_hit(struct busy *b, uint64_t now_ns)
{
	b->worked_ns = now_ns;
	b->vain = 0;
}

bool busy_looks(uint64_t looked_ns, uint64_t had_ns, uint64_t now_ns)
{
	uint64_t quiet_ns = looked_ns > had_ns ? looked_ns - had_ns : 0;

	return now_ns - looked_ns >=
	       min_u64(max_u64(quiet_ns, BUSY_LOOK_LEAST_NS), BUSY_LOOK_MOST_NS);
}
