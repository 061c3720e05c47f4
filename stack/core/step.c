/* tg_step: the one place where frames leave. Due timers, loopback frames, control frames, then the
 * senders in turn, each with a byte budget, until nothing is left, the step's budget is used up or
 * every device is busy.
 *
 * A sender that meets a busy device waits on that interface's list, so that a step costs one
 * attempt for a busy device however many senders wait for it, and does not hold up other
 * interfaces. */
#include "core/core_impl.h"

/* What a turn costs the step's budget at the least, so that a step ends whatever the senders say.
 */
#define TURN_MIN_BYTES 64u

void sender_init(struct sender *x, enum sender_kind kind)
{
	list_init(&x->node);
	x->kind = (uint8_t)kind;
	x->queued = false;
}

void sender_ready(struct tg *s, struct sender *x)
{
	if (x->queued)
		return;
	list_del(&x->node);
	list_push_back(&s->senders, &x->node);
	x->queued = true;
}

void sender_stop(struct sender *x)
{
	list_del(&x->node);
	x->queued = false;
}

/* Who comes next: first those that found a device busy which may not be so any more. */
static struct sender *next_sender(struct tg *s, bool *was_blocked)
{
	struct list *l = NULL;

	*was_blocked = true;
	for (uint32_t i = 0; i < s->n_netifs && !l; i++)
		if (!s->netif[i].busy)
			l = list_pop_front(&s->netif[i].blocked);
	if (!l) {
		*was_blocked = false;
		l = list_pop_front(&s->senders);
	}
	return l ? list_entry(l, struct sender, node) : NULL;
}

static void block_sender(struct tg *s, struct sender *x, bool was_blocked)
{
	struct list *blocked;

	ASSERT(s->busy_netif < s->n_netifs);
	blocked = &s->netif[s->busy_netif].blocked;
	list_del(&x->node);
	if (was_blocked)
		list_push_front(blocked, &x->node);
	else
		list_push_back(blocked, &x->node);
	x->queued = true;
}

static void serve_senders(struct tg *s)
{
	uint64_t left = CORE_STEP_BYTES;
	struct sender *x;
	bool was_blocked;

	while (left > 0 && (x = next_sender(s, &was_blocked))) {
		uint64_t before = s->counters.bytes_out, cost;
		enum tx_result r;

		ASSERT(x->kind < SENDER_KINDS && s->sender_fn[x->kind]);
		x->queued = false;
		s->busy_netif = CORE_NETIF_NONE;
		r = s->sender_fn[x->kind](s, x, (uint32_t)min_u64(CORE_TURN_BYTES, left));
		if (r == TX_MORE)
			sender_ready(s, x);
		else if (r == TX_BUSY)
			block_sender(s, x, was_blocked);
		cost = max_u64(s->counters.bytes_out - before, TURN_MIN_BYTES);
		left -= min_u64(left, cost);
	}
	s->busy_netif = CORE_NETIF_NONE;
}

void core_step(struct tg *s, uint64_t now_ns)
{
	uint32_t n_loopback = s->lo_count;

	core_enter(s, now_ns);
	for (uint32_t i = 0; i < s->n_netifs; i++)
		s->netif[i].busy = false;
	/* Others wait for it, and it costs no time on the wire. */
	netif_pass_flush(s);
	timers_fire(s);
	while (n_loopback-- > 0)
		receive(s, &s->netif[0], loopback_pop(s));
	netif_flush(s);
	serve_senders(s);
	/* What the senders' turns brought about: ARP requests, fragments. */
	netif_flush(s);
}

static bool has_unblocked_sender(const struct tg *s)
{
	if (!list_empty(&s->senders))
		return true;
	for (uint32_t i = 0; i < s->n_netifs; i++)
		if (!s->netif[i].busy && !list_empty(&s->netif[i].blocked))
			return true;
	return false;
}

uint64_t tg_next_deadline(const struct tg *s)
{
	if (has_unblocked_sender(s) || netif_has_work(s))
		return s->now_ns;
	return wheel_next(&s->wheel);
}
