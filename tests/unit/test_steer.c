/* The program for the kernel computes what the instances do: run here by an interpreter of the few
 * instructions that it has, on random frames, and compared with what instance 0 passes on to whom.
 * Where the kernel takes programs, it has to take this one. */
#include "core_support.h"

#include <errno.h>
#include <unistd.h>

#include "base/be.h"
#include "port/steer.h"

#define FRAME_BYTES 80u

/* ---- The interpreter ------------------------------------------------------------------------- */

/* False: beyond the frame, which ends the program with 0. */
static bool load(const struct bpf_insn *x, const uint8_t *b, uint32_t n, uint64_t *r0)
{
	unsigned size = x->code & 0x18, at = (unsigned)x->imm;
	unsigned bytes = size == BPF_B ? 1 : size == BPF_H ? 2 : 4;

	if (at + bytes > n)
		return false;
	*r0 = bytes == 1 ? b[at] : bytes == 2 ? be16_load(b + at) : be32_load(b + at);
	return true;
}

static uint64_t alu(unsigned op, uint64_t a, uint64_t v)
{
	switch (op) {
	case BPF_MOV: return v;
	case BPF_XOR: return a ^ v;
	case BPF_MUL: return a * v;
	case BPF_AND: return a & v;
	case BPF_OR: return a | v;
	case BPF_LSH: return a << v;
	case BPF_RSH: return a >> v;
	case BPF_MOD: return a % v;
	default: ck_abort_msg("operation %x", op);
	}
	return 0;
}

static bool jumps(unsigned op, uint64_t a, uint64_t v)
{
	switch (op) {
	case BPF_JEQ: return a == v;
	case BPF_JNE: return a != v;
	case BPF_JGT: return a > v;
	case BPF_JLT: return a < v;
	case BPF_JSET: return (a & v) != 0;
	default: ck_abort_msg("jump %x", op);
	}
	return false;
}

static uint64_t run(const struct bpf_insn *p, unsigned n, const uint8_t *b, uint32_t bytes)
{
	uint64_t r[10] = {0};

	for (unsigned i = 0; i < n; i++) {
		const struct bpf_insn *x = &p[i];
		uint64_t v = x->code & BPF_X ? r[x->src_reg] : (uint64_t)(int64_t)x->imm;

		if (x->code == (BPF_LD | BPF_DW | BPF_IMM)) {
			r[x->dst_reg] = (uint32_t)x->imm | (uint64_t)(uint32_t)p[++i].imm << 32;
		} else if ((x->code & 7) == BPF_LD) {
			if (!load(x, b, bytes, &r[0]))
				return 0;
			for (unsigned k = 1; k <= 5; k++)
				r[k] = 0xdeadbeef;
		} else if ((x->code & 7) == BPF_ALU64) {
			r[x->dst_reg] = alu(x->code & 0xf0, r[x->dst_reg], v);
		} else if (x->code == (BPF_JMP | BPF_EXIT)) {
			return r[0];
		} else if (jumps(x->code & 0xf0, r[x->dst_reg], v)) {
			UNIT_CHECK(x->off >= 0);
			i += (unsigned)x->off;
		}
	}
	ck_abort_msg("it has no end");
	return 0;
}

/* ---- The instance ---------------------------------------------------------------------------- */

static unsigned passed_to;

static bool pass(void *dev, unsigned to, const struct tg_pkt *p)
{
	(void)dev;
	UNIT_CHECK(p->passed == 1 && p->len > 14 && p->data[12] == 8 && p->len <= FRAME_BYTES);
	passed_to = to;
	return true;
}

static struct tg *start(const struct tg_config *c)
{
	static struct dev d;
	struct tg_netif_config n = {.name = "t", .mtu = 1500, .transmit = dev_transmit, .dev = &d};
	struct tg_ip ip = tg_ip4_of(0x0a000002);
	struct tg *s = tg_create(c, world_memory(), WORLD_BYTES, 0);

	ck_assert_ptr_nonnull(s);
	dev_clear(&d); /* of the instance before */
	dev_init(&d);
	memcpy(n.mac, dev_mac, 6);
	n.pass = pass;
	ck_assert_int_eq(tg_netif_add(s, &n, 0), 1);
	ck_assert_int_eq(tg_addr_add(s, 1, &ip, 8, 0), 0);
	return s;
}

static unsigned owner(struct tg *s, const uint8_t *b, uint32_t n)
{
	struct tg_pkt *p = tg_pkt_alloc(s, n);

	memcpy(p->data, b, n);
	p->len = n;
	p->csum = TG_CSUM_VALID;
	passed_to = 0;
	tg_input(s, 1, p, s->now_ns + 1000000);
	tg_step(s, s->now_ns);
	return passed_to;
}

static void frame(struct unit_rng *r, uint8_t *b, const struct tg_config *c)
{
	uint32_t sum = 0;
	unsigned kind = unit_below(r, 8);
	uint16_t port = kind & 1 ? (uint16_t)(c->tcp.port_first - 2 + unit_below(r, 4))
				 : (uint16_t)unit_u64(r);

	unit_bytes(r, b, FRAME_BYTES);
	memcpy(b, dev_mac, 6);
	b[6] = 2;
	be16_store(b + 12, 0x0800);
	b[14] = 0x45;
	be16_store(b + 16, FRAME_BYTES - 14);
	be16_store(b + 20, kind == 2 ? (uint16_t)(0x2000 + unit_below(r, 100)) : 0x4000);
	b[23] = kind < 5 ? 6 : kind < 7 ? 17 : 1;
	be32_store(b + 26, 0x0a000003 + unit_below(r, 1000));
	be32_store(b + 30, 0x0a000002);
	be16_store(b + 36, kind == 4 ? (uint16_t)(c->tcp.port_last + 1u - unit_below(r, 3)) : port);
	be16_store(b + 24, 0);
	for (unsigned i = 14; i < 34; i += 2)
		sum += be16_load(b + i);
	sum = (sum & 0xffff) + (sum >> 16);
	be16_store(b + 24, (uint16_t) ~((sum & 0xffff) + (sum >> 16)));
}

/* UDP to other ports stays where it arrives: any answer will do. */
static bool any_will_do(const uint8_t *b, const struct tg_config *c)
{
	uint16_t port = be16_load(b + 36);

	return (be16_load(b + 20) & 0x3fff) == 0 && b[23] == 17 &&
	       (port < c->tcp.port_first || port > c->tcp.port_last);
}

/* _i + 2 instances. */
START_TEST (test_same) {
	struct bpf_insn p[STEER_INSNS_MAX];
	struct unit_rng r;
	struct tg_config c;
	struct tg *s;
	unsigned n, counted[CORE_SHARE_MAX] = {0};

	unit_rng_start(&r, _i);
	world_config(&c);
	c.share.count = (uint8_t)(_i + 2);
	c.trace_records = 0;
	unit_bytes(&r, c.share.key, sizeof(c.share.key));
	n = steer_program(&c, p);
	ck_assert_uint_le(n, STEER_INSNS_MAX);
	s = start(&c);
	for (unsigned k = 0; k < 20000; k++) {
		uint8_t b[FRAME_BYTES];
		uint64_t to;

		frame(&r, b, &c);
		to = run(p, n, b, sizeof(b));
		UNIT_CHECK(to < c.share.count);
		counted[to]++;
		if (!any_will_do(b, &c) && b[23] != 1)
			UNIT_CHECK(owner(s, b, sizeof(b)) == to);
		/* Cut off, with options, of another protocol: the first. */
		UNIT_CHECK(run(p, n, b, 13) == 0);
		b[14] = 0x46;
		UNIT_CHECK(run(p, n, b, sizeof(b)) == 0);
		b[12] = 0x86;
		UNIT_CHECK(run(p, n, b, sizeof(b)) == 0);
	}
	for (unsigned i = 0; i < c.share.count; i++)
		ck_assert_uint_gt(counted[i], 20000u / c.share.count / 2);
	world_end(s);
}
END_TEST

START_TEST (test_kernel_takes_it) {
	struct tg_config c;
	int fd;

	world_config(&c);
	c.share.count = 3;
	fd = steer_load(&c);
	ck_assert_msg(fd >= 0 || fd == -EPERM || fd == -ENOSYS, "%d", fd);
	if (fd >= 0)
		close(fd);
}
END_TEST

/* Frames cut off, quoting, flipped: each has its verdict, and those passed on are whole. */
START_TEST (test_hostile) {
	struct unit_rng r;
	struct tg_config c;
	const struct tg_counters *n;
	struct tg *s;

	unit_rng_start(&r, 0);
	world_config(&c);
	c.share.count = 3;
	s = start(&c);
	n = tg_counters(s);
	for (unsigned k = 0; k < 60000; k++) {
		uint8_t b[FRAME_BYTES];

		frame(&r, b, &c);
		if (b[23] == 1) { /* an error that quotes */
			static const uint8_t type[] = {3, 4, 5, 11, 12, 0, 8, 13};

			b[34] = type[unit_below(&r, sizeof(type))];
			b[42] = (uint8_t)(0x45 + unit_below(&r, 3));
			b[51] = unit_below(&r, 2) ? 6 : 17;
		}
		if (unit_below(&r, 3) == 0)
			b[unit_below(&r, FRAME_BYTES)] ^= (uint8_t)(1 << unit_below(&r, 8));
		owner(s, b, unit_below(&r, 3) ? FRAME_BYTES : unit_below(&r, FRAME_BYTES));
	}
	ck_assert_uint_eq(n->frames_in, 60000);
	ck_assert_uint_eq(n->frames_in, n->frames_delivered + n->frames_dropped);
	ck_assert_uint_gt(n->frames_passed_on, 1000);
	world_end(s);
}
END_TEST

static Suite *steer_suite(void)
{
	Suite *s = suite_create("steer");
	TCase *t = tcase_create("steer");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_same, 0, 4);
	tcase_add_test(t, test_hostile);
	tcase_add_test(t, test_kernel_takes_it);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(steer_suite)
