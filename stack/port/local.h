/* A listener on this machine's loopback. */
#ifndef TG_PORT_LOCAL_H
#define TG_PORT_LOCAL_H

#include "port/sys.h"

int local_listen(const struct sys_ops *ops, uint16_t first, unsigned tries, uint16_t *port,
	struct tg_host_error *err);

#endif
