"""GDB commands for Phoenix: `vm maps`, `vm page` and `vm walk`.

They look at a stopped kernel through QEMU's stub. Page tables are read from physical memory, as the MMU reads them; the VM's
own structures through the kernel's symbols. docs/debugging.md shows a session.
"""

import gdb

PAGE_SHIFT = 12
PAGES_START = 0x6F8000000000  # LAYOUT_PAGES_START: the array of page descriptors
PHYSICAL_START = 0x700000000000  # LAYOUT_PHYSICAL_START
PHYSICAL_END = 0x800000000000

# Page-table entries (Intel SDM volume 3, 4.5; AMD APM volume 2, 5.3).
PRESENT, WRITE, USER, LARGE, NO_EXECUTE = 1 << 0, 1 << 1, 1 << 2, 1 << 7, 1 << 63
ENTRY_FLAGS = (
    (0, "present"), (1, "write"), (2, "user"), (3, "write-through"), (4, "uncached"), (5, "accessed"),
    (6, "dirty"), (8, "global"), (9, "soft9"), (10, "soft10"), (11, "soft11"), (63, "no-execute"),
)
ADDRESS_MASK = 0x000FFFFFFFFFF000
LEVELS = (("PML4", 39), ("PDPT", 30), ("PD", 21), ("PT", 12))


def number(text):
    """The value of a GDB expression, as an unsigned 64-bit number."""
    return int(gdb.parse_and_eval(text)) & 0xFFFFFFFFFFFFFFFF


def read_physical(address, count):
    """Bytes of physical memory: QEMU's stub has a mode in which addresses are physical."""
    gdb.execute("maintenance packet Qqemu.PhyMemMode:1", to_string=True)
    try:
        gdb.execute("maintenance flush dcache", to_string=True)
        return bytes(gdb.selected_inferior().read_memory(address, count))
    finally:
        gdb.execute("maintenance packet Qqemu.PhyMemMode:0", to_string=True)
        gdb.execute("maintenance flush dcache", to_string=True)


def rights(value):
    """The rights in a vm_prot_t."""
    return "".join(letter if value & bit else "-" for letter, bit in (("r", 1), ("w", 2), ("x", 4)))


def enum_name(enumeration, value):
    """The name of a value of an enum type."""
    for field in gdb.lookup_type(enumeration).fields():
        if field.enumval == value:
            return field.name
    return str(value)


def string(pointer):
    """A C string, or nothing for NULL."""
    return pointer.string(errors="replace") if int(pointer) else ""


# ---- vm walk ---------------------------------------------------------------------------------------


def walk(address):
    """Yields (level, index, where the entry is, entry) from the top to the leaf or to what is absent."""
    table = number("$cr3") & ADDRESS_MASK
    for level, shift in LEVELS:
        index = address >> shift & 511
        place = table + 8 * index
        entry = int.from_bytes(read_physical(place, 8), "little")
        yield level, shift, index, place, entry
        if not entry & PRESENT or (entry & LARGE and shift in (30, 21)):
            return
        table = entry & ADDRESS_MASK


def decode(entry, leaf):
    """The names of the bits that are set; accessed and so on mean nothing in an absent entry."""
    if not entry & PRESENT:
        return "absent" if entry == 0 else "absent, 0x%x" % entry
    names = [name for bit, name in ENTRY_FLAGS if entry >> bit & 1]
    if leaf and entry & LARGE:
        names.append("large or PAT")
    return " ".join(names)


def print_walk(address):
    """Prints the walk, and what the MMU makes of it."""
    if address >> 47 not in (0, 0x1FFFF):
        print("0x%x is not canonical: the CPU does not translate it" % address)
        return
    if not number("$cr0") >> 31 & 1:
        print("paging is off: 0x%x is physical 0x%x" % (address, address))
        return
    writable, user, executable = True, True, True
    for level, shift, index, place, entry in walk(address):
        leaf = shift == PAGE_SHIFT or bool(entry & LARGE)
        print("%-4s[%3d] at 0x%09x: %016x  %s" % (level, index, place, entry, decode(entry, leaf)))
        writable = writable and bool(entry & WRITE)
        user = user and bool(entry & USER)
        executable = executable and not entry & NO_EXECUTE
    if not entry & PRESENT:
        print("0x%x: no translation" % address)
        return
    size = 1 << shift
    physical = (entry & ADDRESS_MASK & ~(size - 1)) | (address & (size - 1))
    print("0x%x is physical 0x%x, in a page of %d KiB: r%s%s, %s" % (
        address, physical, size >> 10, "w" if writable else "-", "x" if executable else "-",
        "user" if user else "supervisor"))


# ---- vm page ---------------------------------------------------------------------------------------


def print_page(value):
    """A page descriptor, by frame number, by the descriptor's address, or by an address in the physical map."""
    page_type = gdb.lookup_type("struct page")
    if PHYSICAL_START <= value < PHYSICAL_END:
        frame = value - PHYSICAL_START >> PAGE_SHIFT
    elif value >= PAGES_START:
        frame = (value - PAGES_START) // page_type.sizeof
    else:
        frame = value
    address = PAGES_START + frame * page_type.sizeof
    page = gdb.Value(address).cast(page_type.pointer()).dereference()
    try:
        state = int(page["state"])
    except gdb.MemoryError:
        print("frame 0x%x has no descriptor: it is not RAM" % frame)
        return
    print("frame 0x%x: physical 0x%x, descriptor 0x%x, contents at 0x%x" % (
        frame, frame << PAGE_SHIFT, address, PHYSICAL_START + (frame << PAGE_SHIFT)))
    for field in page_type.fields():
        if field.name == "state":
            print("  state     %s" % enum_name("enum page_state", state))
        else:
            value = page[field.name]
            print("  %-9s %s" % (field.name, value.format_string(symbols=True) if value.type.code == gdb.TYPE_CODE_PTR
                                 else int(value)))


# ---- vm maps ---------------------------------------------------------------------------------------


def print_map(vm_map, depth):
    """The entries of a map, and of the maps in it."""
    entry = vm_map["first"]
    while int(entry):
        kind = enum_name("enum entry_kind", int(entry["kind"])).replace("ENTRY_", "").lower()
        name = string(entry["name"])
        submap = entry["submap"]
        if not name and int(submap):
            name = submap["name"].string()
        detail = ""
        if int(entry["blob"]):
            detail = "  blob 0x%x + %d" % (int(entry["blob"]), int(entry["offset"]))
        print("%012x-%012x %s %-8s %s%s%s" % (int(entry["start"]), int(entry["end"]), rights(int(entry["prot"])), kind,
                                             "  " * depth, name, detail))
        if int(submap):
            print_map(submap.dereference(), depth + 1)
        entry = entry["next"]


def root_of_process():
    """The root map of the process that runs on the selected CPU; None before there is one."""
    base = "$k_gs_base" if number("$cs") & 3 else "$gs_base"  # swapgs: user code has its own
    if not number(base):
        return None
    cpu = gdb.Value(number(base)).cast(gdb.lookup_type("struct percpu").pointer())
    return cpu["map"] if int(cpu["map"]) else None


# ---- The commands ----------------------------------------------------------------------------------


class Vm(gdb.Command):
    """Looks at Phoenix's virtual memory: vm maps, vm page, vm walk."""

    def __init__(self):
        super().__init__("vm", gdb.COMMAND_DATA, prefix=True)


class VmMaps(gdb.Command):
    """vm maps [MAP]: the map tree of the process that runs, or of a struct map *."""

    def __init__(self):
        super().__init__("vm maps", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        root = gdb.parse_and_eval(argument) if argument else root_of_process()
        if root is None:
            print("no process yet; vm maps dynamic_map shows kernel dynamic memory")
            return
        print("%s:" % root["name"].string())
        print_map(root.dereference(), 0)


class VmPage(gdb.Command):
    """vm page FRAME|ADDRESS: the descriptor of a page frame. ADDRESS: of a descriptor, or in the physical map."""

    def __init__(self):
        super().__init__("vm page", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        if not argument:
            raise gdb.GdbError("vm page FRAME|ADDRESS")
        print_page(number(argument))


class VmWalk(gdb.Command):
    """vm walk ADDRESS: walks the page tables that this CPU uses, from physical memory, and decodes each entry."""

    def __init__(self):
        super().__init__("vm walk", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        if not argument:
            raise gdb.GdbError("vm walk ADDRESS")
        print_walk(number(argument))


Vm()
VmMaps()
VmPage()
VmWalk()
