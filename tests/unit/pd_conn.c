/* What pd_host.h declares: steps that many tests of the adapter begin with, on one host. */
#include "pd_host.h"

#include <arpa/inet.h>
#include <netinet/in.h>

struct pd_host pd_the_host;
static struct pd_host *const h = &pd_the_host;

const struct sockaddr *addr(uint32_t ip, uint16_t port)
{
	static struct sockaddr_in a;

	a = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
	a.sin_addr.s_addr = htonl(ip);
	return (const struct sockaddr *)&a;
}
int listener(int flags)
{
	int fd = pd_keep(h, h->ifc.socket(h->u, AF_INET, SOCK_STREAM | flags, IPPROTO_TCP));
	int on = 1;

	ck_assert_int_ge(fd, 3);
	ck_assert_int_eq(h->ifc.setsockopt(h->u, fd, SOL_SOCKET, SO_REUSEADDR, &on, 4), 0);
	ck_assert_int_eq(h->ifc.bind(h->u, fd, addr(PD_LOCAL_IP, 8080), ADDR_LEN), 0);
	ck_assert_int_eq(h->ifc.listen(h->u, fd, 1), 0);
	return fd;
}

struct seg from_peer(const struct conn *c, unsigned flags, uint32_t len)
{
	return (struct seg){.sport = c->rport,
		.dport = c->lport,
		.seq = c->rcv,
		.ack = c->snd,
		.flags = (uint8_t)flags,
		.win = 65535,
		.len = len};
}

/* The peer's side of a handshake, without options. */
void shake(struct conn *c, uint16_t rport)
{
	struct seg s;

	*c = (struct conn){.fd = -1, .lport = 8080, .rport = rport, .rcv = 1000};
	s = from_peer(c, F_SYN, 0);
	s.ack = 0;
	pd_inject(h, &s);
	ck_assert(pd_receive(h, &s));
	ck_assert_uint_eq(s.flags, F_SYN | F_ACK);
	ck_assert_uint_eq(s.ack, 1001);
	c->iss = s.seq;
	c->snd = s.seq + 1;
	c->rcv = 1001;
	s = from_peer(c, F_ACK, 0);
	pd_inject(h, &s);
}

struct conn established(void)
{
	int l = listener(0);
	struct conn c;

	shake(&c, 40000);
	c.fd = pd_keep(h, h->ifc.accept(h->u, l, NULL, NULL));
	ck_assert_int_ge(c.fd, 3);
	return c;
}

void give(struct conn *c, uint32_t len)
{
	struct seg s = from_peer(c, F_ACK | F_PSH, len);

	pd_inject(h, &s);
	c->rcv += len;
}

void confirm(struct conn *c)
{
	struct seg s = from_peer(c, F_ACK, 0);

	pd_inject(h, &s);
}

void open_quick(void)
{
	pd_open(h, QUICK);
}

void close_host(void)
{
	pd_close(h);
}
