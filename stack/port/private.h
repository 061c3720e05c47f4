/* A user and network namespace for this process alone. */
#ifndef TG_PORT_PRIVATE_H
#define TG_PORT_PRIVATE_H

#include "port/sys.h"

/* See tg_host_private. uid, gid: ours, outside. */
int private_enter(const struct sys_ops *ops, unsigned uid, unsigned gid, struct tg_host_error *err);

#endif
