/* A veth pair with a packet socket on one end, in place of a TAP. */
#ifndef TG_PORT_LINK_PACKET_H
#define TG_PORT_LINK_PACKET_H

#include "port/tap.h"

#define PACKET_STACK_END "stack0"

/* Makes the pair: q->name is the kernel's end, which gets the address. 0, or -errno with err filled
 * in; what was made until then goes with the network namespace. */
int packet_open(struct tap *t, const struct tap_request *q, const struct sys_ops *ops,
	struct tg_host_error *err);

#endif
