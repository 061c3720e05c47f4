/* A program in the kernel (TUNSETSTEERINGEBPF) that computes the owner of a frame as ip/share.c
 * does, so that the kernel puts it on the right queue at once: TCP and UDP without IP options, and
 * fragments. Everything else comes by queue 0. It takes a privilege that is not had in a user
 * namespace; without it the kernel learns flows from what is written, and frames cross. */
#define _GNU_SOURCE
#include "port/steer.h"

#include "base/flow.h"
#include "wire/eth.h"
#include "wire/ip4.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef TUNSETSTEERINGEBPF
#define TUNSETSTEERINGEBPF _IOR('T', 224, int)
#endif

/* Offsets in a frame without IP options. */
#define AT_TYPE  12
#define AT_IP    ETH_HDR_BYTES
#define AT_ID    (AT_IP + 4)
#define AT_FRAG  (AT_IP + 6)
#define AT_PROTO (AT_IP + 9)
#define AT_SRC   (AT_IP + 12)
#define AT_DST   (AT_IP + 16)
#define AT_SPORT (AT_IP + IP4_HDR_BYTES)
#define AT_DPORT (AT_SPORT + 2)

#define IP_PLAIN_HDR 0x45   /* version 4, five words */
#define IP_IN_PIECES 0x3fff /* more fragments, or an offset */

/* What the registers hold: loads leave their result in R0, need the context in R6 and spoil R1 to
 * R5. */
enum { R_RESULT, R_SCRATCH, R_CTX = 6, R_PROTO, R_REMOTE, R_LOCAL };

/* Where jumps lead. */
enum { LABEL_PORTS = 1, LABEL_SPREAD, LABEL_FRAGMENT, LABEL_FIRST, LABELS };

struct code {
	struct bpf_insn *at;
	unsigned n, label[LABELS];
};

static void put(struct code *c, unsigned code, unsigned dst, unsigned src, int off, int32_t imm)
{
	c->at[c->n++] = (struct bpf_insn){.code = (uint8_t)code,
		.dst_reg = dst & 15,
		.src_reg = src & 15,
		.off = (int16_t)off,
		.imm = imm};
}

static void load(struct code *c, unsigned size, unsigned at)
{
	put(c, BPF_LD | BPF_ABS | size, 0, 0, 0, (int32_t)at);
}

static void move(struct code *c, unsigned dst, unsigned src)
{
	put(c, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

/* dst op= value */
static void op_value(struct code *c, unsigned op, unsigned dst, uint64_t value)
{
	put(c, BPF_LD | BPF_DW | BPF_IMM, R_SCRATCH, 0, 0, (int32_t)(uint32_t)value);
	put(c, 0, 0, 0, 0, (int32_t)(uint32_t)(value >> 32));
	put(c, BPF_ALU64 | op | BPF_X, dst, R_SCRATCH, 0, 0);
}

static void jump(struct code *c, unsigned op, unsigned reg, int32_t value, unsigned to)
{
	/* The label's number stands in for the distance until all are known. */
	put(c, BPF_JMP | op | BPF_K, reg, 0, (int)to, value);
}

static void label(struct code *c, unsigned which)
{
	c->label[which] = c->n;
}

static void finish(struct code *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		struct bpf_insn *x = &c->at[i];

		if ((x->code & 7) == BPF_JMP && x->off)
			x->off = (int16_t)((int)c->label[x->off] - (int)i - 1);
	}
}

/* dst = the address at `at` << 16 | R0's low half, kept from before */
static void address_into(struct code *c, unsigned dst, unsigned at)
{
	move(c, dst, R_RESULT);
	load(c, BPF_W, at);
	put(c, BPF_ALU64 | BPF_LSH | BPF_K, R_RESULT, 0, 0, 16);
	put(c, BPF_ALU64 | BPF_OR | BPF_X, dst, R_RESULT, 0, 0);
}

static void leave_with_modulus(struct code *c, unsigned count)
{
	put(c, BPF_ALU64 | BPF_MOD | BPF_K, R_RESULT, 0, 0, (int32_t)count);
	put(c, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* flow_hash, of R_REMOTE and R_LOCAL */
static void hash(struct code *c, const struct flow_key *k)
{
	op_value(c, BPF_XOR, R_REMOTE, k->a);
	op_value(c, BPF_MUL, R_REMOTE, FLOW_MIX_1);
	move(c, R_RESULT, R_REMOTE);
	put(c, BPF_ALU64 | BPF_RSH | BPF_K, R_RESULT, 0, 0, 32);
	put(c, BPF_ALU64 | BPF_XOR | BPF_X, R_REMOTE, R_RESULT, 0, 0);
	op_value(c, BPF_XOR, R_LOCAL, k->b);
	put(c, BPF_ALU64 | BPF_XOR | BPF_X, R_REMOTE, R_LOCAL, 0, 0);
	op_value(c, BPF_MUL, R_REMOTE, FLOW_MIX_2);
	move(c, R_RESULT, R_REMOTE);
	put(c, BPF_ALU64 | BPF_RSH | BPF_K, R_RESULT, 0, 0, 32);
}

unsigned steer_program(const struct tg_config *cfg, struct bpf_insn out[STEER_INSNS_MAX])
{
	struct code c = {.at = out};
	struct flow_key key;

	memcpy(&key, cfg->share.key, sizeof(key));
	move(&c, R_CTX, R_SCRATCH);
	load(&c, BPF_H, AT_TYPE);
	jump(&c, BPF_JNE, R_RESULT, ETH_TYPE_IP4, LABEL_FIRST);
	load(&c, BPF_B, AT_IP);
	jump(&c, BPF_JNE, R_RESULT, IP_PLAIN_HDR, LABEL_FIRST);
	load(&c, BPF_B, AT_PROTO);
	move(&c, R_PROTO, R_RESULT);
	load(&c, BPF_H, AT_FRAG);
	jump(&c, BPF_JSET, R_RESULT, IP_IN_PIECES, LABEL_FRAGMENT);
	jump(&c, BPF_JEQ, R_PROTO, IP_PROTO_TCP, LABEL_PORTS);
	jump(&c, BPF_JNE, R_PROTO, IP_PROTO_UDP, LABEL_FIRST);
	label(&c, LABEL_PORTS);
	load(&c, BPF_H, AT_SPORT);
	address_into(&c, R_REMOTE, AT_SRC);
	load(&c, BPF_H, AT_DPORT);
	address_into(&c, R_LOCAL, AT_DST);
	move(&c, R_RESULT, R_LOCAL);
	put(&c, BPF_ALU64 | BPF_AND | BPF_K, R_RESULT, 0, 0, 0xffff);
	jump(&c, BPF_JLT, R_RESULT, cfg->tcp.port_first, LABEL_SPREAD);
	jump(&c, BPF_JGT, R_RESULT, cfg->tcp.port_last, LABEL_SPREAD);
	leave_with_modulus(&c, cfg->share.count);
	label(&c, LABEL_FRAGMENT);
	load(&c, BPF_H, AT_ID);
	address_into(&c, R_REMOTE, AT_SRC);
	move(&c, R_RESULT, R_PROTO);
	address_into(&c, R_LOCAL, AT_DST);
	label(&c, LABEL_SPREAD);
	hash(&c, &key);
	leave_with_modulus(&c, cfg->share.count);
	label(&c, LABEL_FIRST);
	put(&c, BPF_ALU64 | BPF_MOV | BPF_K, R_RESULT, 0, 0, 0);
	put(&c, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	finish(&c);
	return c.n;
}

int steer_load(const struct tg_config *c)
{
	struct bpf_insn program[STEER_INSNS_MAX];
	union bpf_attr a;
	long fd;

	memset(&a, 0, sizeof(a));
	a.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	a.insn_cnt = steer_program(c, program);
	a.insns = (uintptr_t)program;
	a.license = (uintptr_t) "MIT";
	fd = syscall(SYS_bpf, BPF_PROG_LOAD, &a, sizeof(a));
	return fd < 0 ? -errno : (int)fd;
}

static int set(int tap_fd, int program_fd)
{
	return ioctl(tap_fd, TUNSETSTEERINGEBPF, &program_fd) < 0 ? -errno : 0;
}

int steer_on(int tap_fd, const struct tg_config *c)
{
	int fd = steer_load(c), result;

	if (fd < 0) {
		steer_off(tap_fd); /* a TAP that stays may have somebody else's */
		return fd;
	}
	result = set(tap_fd, fd);
	close(fd); /* the TAP holds it */
	return result;
}

void steer_off(int tap_fd)
{
	set(tap_fd, -1);
}
