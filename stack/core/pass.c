/* Frames for other instances that share our addresses: a bounded queue at each interface, handed
 * over by the next step, so that no device's code runs while a frame is being received. */
#include "core/core_impl.h"

bool netif_pass(struct tg *s, struct netif *n, struct tg_pkt *p, unsigned to)
{
	if (n->pass_count >= CORE_PASSQ_MAX || n->pass_bytes >= CORE_PASSQ_BYTES) {
		pkt_discard(s, p, TG_DROP_PASS_QUEUE_FULL);
		return false;
	}
	p = pkt_keep(s, p);
	if (!p) {
		pkt_discard(s, NULL, TG_DROP_NO_MEMORY);
		return false;
	}
	p->mark = to;
	p->passed++;
	p->next = NULL;
	if (n->pass_tail)
		n->pass_tail->next = p;
	else
		n->pass_head = p;
	n->pass_tail = p;
	n->pass_count++;
	n->pass_bytes += pkt_charge(p);
	return true;
}

static void flush_one(struct tg *s, struct netif *n)
{
	struct tg_pkt *p;

	while ((p = n->pass_head)) {
		bool taken = n->c.pass(n->c.dev, p->mark, p);

		if (s->recorder)
			record_pass(s, n, p, taken);
		n->pass_head = p->next;
		if (!n->pass_head)
			n->pass_tail = NULL;
		n->pass_count--;
		n->pass_bytes -= pkt_charge(p);
		if (!taken) {
			pkt_discard(s, p, TG_DROP_PASS_QUEUE_FULL);
			continue;
		}
		s->counters.frames_passed_on++;
		tg_pkt_free(s, p);
	}
}

void netif_pass_flush(struct tg *s)
{
	for (uint32_t i = 0; i < s->n_netifs; i++)
		flush_one(s, &s->netif[i]);
}
