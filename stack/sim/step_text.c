/* The user's acts and timers in words. */
#include "sim/drill.h"
#include "sim/step.h"

static void put_addr(struct text *t, const struct tg_addr *a)
{
	char ip[16];

	text_add(t, "%s:%u", tg_ip_format(&a->ip, ip), (uint32_t)a->port);
}

static const char *option_name(unsigned option)
{
	static const struct {
		uint8_t option;
		const char *name;
	} known[] = {{TG_SO_REUSEADDR, "SO_REUSEADDR"}, {TG_SO_KEEPALIVE, "SO_KEEPALIVE"},
		{TG_SO_SNDBUF, "SO_SNDBUF"}, {TG_SO_RCVBUF, "SO_RCVBUF"},
		{TG_SO_LINGER, "SO_LINGER"}, {TG_SO_RCVLOWAT, "SO_RCVLOWAT"},
		{TG_TCP_NODELAY, "TCP_NODELAY"}, {TG_TCP_CORK, "TCP_CORK"},
		{TG_TCP_MAXSEG, "TCP_MAXSEG"}, {TG_TCP_QUICKACK, "TCP_QUICKACK"},
		{TG_TCP_KEEPIDLE, "TCP_KEEPIDLE"}, {TG_TCP_KEEPINTVL, "TCP_KEEPINTVL"},
		{TG_TCP_KEEPCNT, "TCP_KEEPCNT"}, {TG_TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT"},
		{TG_TCP_NOTSENT_LOWAT, "TCP_NOTSENT_LOWAT"}};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (known[i].option == option)
			return known[i].name;
	return "option";
}

static void put_call(struct text *t, const struct tg_step_action *a)
{
	text_add(t, "%s(", tg_step_act_name(a->act));
	if (a->act == TG_ACT_CONNECT || a->act == TG_ACT_LISTEN)
		put_addr(t, &a->addr);
	else if (a->act == TG_ACT_SEND || a->act == TG_ACT_RECV)
		text_add(t, "%u bytes", a->bytes);
	else if (a->act == TG_ACT_SHUTDOWN)
		text_add(t, "%s",
			a->how == TG_SHUT_RD   ? "SHUT_RD"
			: a->how == TG_SHUT_WR ? "SHUT_WR"
					       : "SHUT_RDWR");
	else if (a->act == TG_ACT_SETOPT)
		text_add(t, "%s, %d", option_name(a->option), a->value);
	text_add(t, ")");
}

void step_text_action(const struct tg_step_action *a, char *out, size_t cap)
{
	struct text t = text_in(out, cap);

	if (a->act < TG_ACT_DELIVER) {
		put_call(&t, a);
		return;
	}
	text_add(&t, "%s", tg_step_act_name(a->act));
	if (a->act != TG_ACT_ADVANCE)
		text_add(&t, " %u", a->frame_id);
	if (a->act == TG_ACT_SWAP)
		text_add(&t, " %u", a->frame_id2);
	if (a->act == TG_ACT_CORRUPT)
		text_add(&t, " at %u", a->offset);
	if (a->act == TG_ACT_DELAY || a->act == TG_ACT_ADVANCE)
		text_add(&t, " %t s", a->ns);
}

void step_text_timers(uint32_t timers, char *out, size_t cap)
{
	static const char *const names[] = {"retransmission", "persist", "delayed ACK", "keepalive",
		"state", "user", "loss probe", "reordering"};
	struct text t = text_in(out, cap);
	const char *comma = "";

	for (uint32_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!(timers >> i & 1))
			continue;
		text_add(&t, "%s%s", comma, names[i]);
		comma = ", ";
	}
}
