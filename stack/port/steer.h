/* Telling the kernel which queue of a TAP a flow belongs to. */
#ifndef TG_PORT_STEER_H
#define TG_PORT_STEER_H

#include "tapglass.h"

#include <linux/bpf.h>

#define STEER_INSNS_MAX 80u

/* Writes the program for instances that share as c says; its length. */
unsigned steer_program(const struct tg_config *c, struct bpf_insn out[STEER_INSNS_MAX]);
/* A descriptor; -errno: it is not allowed, or this kernel has none. */
int steer_load(const struct tg_config *c);
/* 0; -errno: then the kernel goes on learning by itself, as after steer_off. */
int steer_on(int tap_fd, const struct tg_config *c);
void steer_off(int tap_fd);

#endif
