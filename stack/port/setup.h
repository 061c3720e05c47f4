/* A TAP that stays. */
#ifndef TG_PORT_SETUP_H
#define TG_PORT_SETUP_H

#include "port/sys.h"

int setup_make(const struct sys_ops *ops, const char *name, unsigned uid, const struct tg_ip *ip,
	unsigned prefix_len, struct tg_host_error *err);
int setup_remove(const struct sys_ops *ops, const char *name, struct tg_host_error *err);

#endif
