/*
 * Labels: counted references to what mappings are of, for who lists them.
 *
 * A label may have to sleep when it goes, and its last reference may go with a map locked; so what goes there is
 * collected in a list, and destroyed when the lock is given back (map_write_unlock).
 */
#include "vm_internal.h"

void map_label_ref(struct map_label *label)
{
	ASSERT(!label || label->refs > 0);
	if (label)
		label->refs++;
}

void map_label_drop(struct map_label *label, struct map_label **dropped)
{
	ASSERT(!label || label->refs > 0);
	if (!label || --label->refs > 0)
		return;
	label->next = *dropped;
	*dropped = label;
}

void map_label_unmapped(struct map_label *label, bool written)
{
	if (label && label->ops->unmapped)
		label->ops->unmapped(label, written);
}

void map_label_unref(struct map_label *label)
{
	struct map_label *dropped = NULL;

	map_label_drop(label, &dropped);
	map_labels_destroy(dropped);
}

void map_labels_destroy(struct map_label *list)
{
	while (list) {
		struct map_label *label = list;

		list = label->next;
		ASSERT(label->refs == 0);
		label->ops->destroy(label);
	}
}
