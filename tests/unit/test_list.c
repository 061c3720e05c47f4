/* The intrusive list against an array that holds the same. */
#include "base/list.h"
#include "unit.h"

#define N 40

struct item {
	int number;
	struct list node;
};

static struct item items[N];

/* The list reads like model[0..n), forwards and backwards. */
static void check_same(struct list *head, const int *model, int n)
{
	struct list *back = head->prev;
	int i = 0;

	list_for_each (it, head) {
		UNIT_CHECK(i < n && list_entry(it, struct item, node)->number == model[i]);
		i++;
	}
	UNIT_CHECK(i == n && list_empty(head) == (n == 0));
	for (i = n; i-- > 0; back = back->prev)
		UNIT_CHECK(list_entry(back, struct item, node)->number == model[i]);
	UNIT_CHECK(back == head);
}

static void model_insert(int *model, int *n, int pos, int v)
{
	memmove(model + pos + 1, model + pos, (size_t)(*n - pos) * sizeof(*model));
	model[pos] = v;
	++*n;
}

static void model_remove(int *model, int *n, int pos)
{
	memmove(model + pos, model + pos + 1, (size_t)(*n - pos - 1) * sizeof(*model));
	--*n;
}

static void remove_one(struct list *head, int *model, int *n, int pos)
{
	int v = model[pos];

	if (pos == 0)
		UNIT_CHECK(list_pop_front(head) == &items[v].node);
	else
		list_del(&items[v].node);
	UNIT_CHECK(list_empty(&items[v].node));
	list_del(&items[v].node);
	model_remove(model, n, pos);
}

START_TEST (random_operations_match_an_array) {
	int model[N], n = 0;
	struct unit_rng r;
	struct list head;

	unit_rng_start(&r, _i);
	list_init(&head);
	for (int i = 0; i < N; i++) {
		items[i].number = i;
		list_init(&items[i].node);
	}
	for (int step = 0; step < 5000; step++) {
		int v = (int)unit_below(&r, N), pos = n ? (int)unit_below(&r, (uint32_t)n) : 0;

		if (!list_empty(&items[v].node)) {
			remove_one(&head, model, &n, pos);
		} else if (step % 3 == 0 || n == 0) {
			list_push_back(&head, &items[v].node);
			model_insert(model, &n, n, v);
		} else if (step % 3 == 1) {
			list_push_front(&head, &items[v].node);
			model_insert(model, &n, 0, v);
		} else {
			list_insert_after(&items[model[pos]].node, &items[v].node);
			model_insert(model, &n, pos + 1, v);
		}
		check_same(&head, model, n);
	}
}
END_TEST

START_TEST (splice_moves_everything_to_the_end) {
	static const int both[] = {0, 1, 2, 3, 4, 5};
	struct list a, b;

	list_init(&a);
	list_init(&b);
	list_splice_back(&a, &b);
	UNIT_CHECK(list_empty(&a) && list_empty(&b));
	for (int i = 0; i < 6; i++) {
		items[i].number = i;
		list_push_back(i < 3 ? &a : &b, &items[i].node);
	}
	list_splice_back(&a, &b);
	check_same(&a, both, 6);
	check_same(&b, both, 0);
	list_splice_back(&a, &b);
	check_same(&a, both, 6);
	list_splice_back(&b, &a);
	check_same(&b, both, 6);
	check_same(&a, both, 0);
}
END_TEST

START_TEST (safe_iteration_survives_removal) {
	struct list head;
	int seen = 0;

	list_init(&head);
	for (int i = 0; i < N; i++)
		list_push_back(&head, &items[i].node);
	list_for_each_safe (it, next, &head) {
		seen++;
		list_del(it);
	}
	UNIT_CHECK(seen == N && list_empty(&head) && list_pop_front(&head) == NULL);
}
END_TEST

static Suite *list_suite(void)
{
	Suite *s = suite_create("list");
	TCase *t = tcase_create("list");

	tcase_add_loop_test(t, random_operations_match_an_array, 0, 4);
	tcase_add_test(t, splice_moves_everything_to_the_end);
	tcase_add_test(t, safe_iteration_survives_removal);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(list_suite)
