/* The accept queue of a listener: connections whose handshake is complete, oldest first (RFC
 * 9293 3.9.1.1). With TG_TCP_DEFER_ACCEPT they wait apart until their peer has sent something, or
 * the time is up. */
#include "tcp/tcp.h"

static struct tcp_conn *conn_of(struct endpoint *e)
{
	return (struct tcp_conn *)e;
}

void tcp_accept_enqueue(struct tg *s, struct tcp_conn *l, struct tcp_conn *c)
{
	c->in_accept_queue = true;
	l->listener->queued++;
	if (l->defer_ns) {
		c->deferred = true;
		list_push_back(&l->listener->deferred, &c->link);
		tcp_timers_defer(s, c, l->defer_ns);
		return;
	}
	list_push_back(&l->listener->queue, &c->link);
	endpoint_again(s, &l->ep, TG_IN);
	tcp_notify(s, l);
}

void tcp_accept_ready(struct tg *s, struct tcp_conn *c)
{
	struct tcp_conn *l = c->parent;

	c->deferred = false;
	tcp_timers_defer_ended(c);
	list_del(&c->link);
	list_push_back(&l->listener->queue, &c->link);
	endpoint_again(s, &l->ep, TG_IN);
	tcp_notify(s, l);
}

int tcp_user_accept(struct tg *s, struct endpoint *e, struct endpoint **out)
{
	struct tcp_conn *l = conn_of(e), *c;
	struct list *n;

	if (l->state != TG_LISTEN)
		return -TG_EINVAL;
	n = list_pop_front(&l->listener->queue);
	if (!n)
		return -TG_EAGAIN;
	c = list_entry(n, struct tcp_conn, link);
	c->in_accept_queue = false;
	if (c->state != TG_TIME_WAIT)
		c->parent = NULL;
	l->listener->queued--;
	*out = &c->ep;
	tcp_timers_awake(s, c);
	tcp_notify(s, l);
	return 0;
}

void tcp_user_unaccept(struct tg *s, struct endpoint *listener, struct endpoint *e)
{
	struct tcp_conn *l = conn_of(listener), *c = conn_of(e);

	list_push_front(&l->listener->queue, &c->link);
	c->in_accept_queue = true;
	if (c->state != TG_TIME_WAIT)
		c->parent = l;
	l->listener->queued++;
	tcp_notify(s, l);
}
