"""GDB commands for Phoenix: `vm maps`, `vm explain`, `vm page` and `vm walk`; `phoenix` is another name for `vm`.

They look at a stopped kernel through QEMU's stub. Page tables are read from physical memory, as the MMU reads them; the VM's
own structures through the kernel's symbols. Only `vm explain` makes the kernel run, for one call. docs/debugging.md shows a session.
"""

import gdb

PAGE_SHIFT = 12
PAGES_START = 0x6F8000000000  # LAYOUT_PAGES_START: the array of page descriptors
PHYSICAL_START = 0x700000000000  # LAYOUT_PHYSICAL_START
PHYSICAL_END = 0x800000000000
KERNEL_START, KERNEL_END = 0x78000000, 0x80000000  # LAYOUT_KERNEL_START
DYNAMIC_START, DYNAMIC_END = 0x6FC000000000, PHYSICAL_START  # LAYOUT_DYNAMIC_START

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


def fields_of(structure):
    """The fields of a structure, those in parts without a name among them."""
    for field in structure.fields():
        if field.name:
            yield field
        else:
            yield from fields_of(field.type)


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
    for field in fields_of(page_type):
        if field.name == "state":
            print("  state     %s" % enum_name("enum page_state", state))
        else:
            value = page[field.name]
            print("  %-9s %s" % (field.name, value.format_string(symbols=True) if value.type.code == gdb.TYPE_CODE_PTR
                                 else int(value)))


# ---- vm maps ---------------------------------------------------------------------------------------


def faults_of(entry):
    """What happened in an entry: its faults by case."""
    cases = [field for field in gdb.lookup_type("enum fault_case").fields() if field.name != "FAULT_CASES"]
    counts = [(case.name.replace("FAULT_", "").replace("_", " ").lower(), int(entry["faults"][case.enumval]))
              for case in cases]
    said = ", ".join("%s %d" % count for count in counts if count[1])
    return "  (%s)" % said if said else ""


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
            detail = "  blob 0x%x + %d%s" % (int(entry["blob"]), int(entry["offset"]), faults_of(entry))
        print("%012x-%012x %s %-8s %s%s%s" % (int(entry["start"]), int(entry["end"]), rights(int(entry["prot"])), kind,
                                             "  " * depth, name, detail))
        if int(submap):
            print_map(submap.dereference(), depth + 1)
        entry = entry["next"]


def percpu():
    """The selected CPU's struct percpu *: swapgs puts it in one register or the other. None: not set up."""
    for base in number("$gs_base"), number("$k_gs_base"):
        if KERNEL_START <= base < KERNEL_END:
            return gdb.Value(base).cast(gdb.lookup_type("struct percpu").pointer())
    return None


def root_of_process():
    """The root map of the process that runs on the selected CPU; None before there is one."""
    cpu = percpu()
    return cpu["map"] if cpu is not None and int(cpu["map"]) else None


# ---- vm explain ------------------------------------------------------------------------------------

ACCESSES = {"r": 1, "w": 2, "x": 4}  # VM_READ, VM_WRITE, VM_EXEC
LINE_BYTES = 512
SPARE_STACK = 256  # below what the interrupted code has on its stack
KERNEL_CODE, KERNEL_DATA = 0x08, 0x10  # selectors: kern/arch/x86_64/cpu.c
FLAGS_OFF = 1 << 8 | 1 << 9 | 1 << 10  # trap, interrupt, direction
RW_WRITER_OR_WAITING = 3


def find_entry(root, address):
    """The innermost entry at an address of the same tree; None: there is none."""
    entry = root["first"]
    while int(entry):
        if int(entry["start"]) <= address < int(entry["end"]):
            submap = entry["submap"]
            if int(submap) and int(submap["top"]) == int(root["top"]):
                return find_entry(submap, address)
            return entry
        entry = entry["next"]
    return None


def held_lock(root, address):
    """The name of a lock that vm_explain() would wait for, for ever; None: it can run."""
    if int(root["lock"]["word"]) & RW_WRITER_OR_WAITING:
        return "the map's lock, to write"
    entry = find_entry(root, address)
    if entry is not None and int(entry["blob"]):
        if int(entry["blob"]["family"]["lock"]["owner"]):
            return "the blob family's lock"
        if int(entry["map"]["pmap"]["lock"]["owner"]):
            return "the pmap's lock"
    try:
        held = gdb.parse_and_eval("'lock_debug.c'::cpus")[percpu()["number"]]
    except gdb.error:
        return None  # only debug builds check the order of locks
    return "a lock" if int(held["count"]) else None


def set_register(name, value):
    """Sets a register to an unsigned number."""
    gdb.execute("set $%s = %d" % (name, value), to_string=True)


def call_explain(root, address, access):
    """vm_explain()'s line. The kernel runs for this one call, on a stack of its own, without interrupts or breakpoints."""
    names = ("rsp", "eflags", "cs", "ss", "gs_base")
    saved = {name: number("$" + name) for name in names}
    stack = saved["rsp"]
    breakpoints = [point for point in gdb.breakpoints() if point.enabled]
    try:
        for point in breakpoints:
            point.enabled = False
        set_register("eflags", saved["eflags"] & ~FLAGS_OFF)
        if saved["cs"] & 3:  # in ring 3 the process's kernel stack is empty; swapgs has yet to come
            cpu = percpu()
            set_register("gs_base", int(cpu))
            set_register("ss", KERNEL_DATA)
            set_register("cs", KERNEL_CODE)
            stack = int(cpu["kernel_stack"])
        text = (stack - SPARE_STACK - LINE_BYTES) & ~15
        set_register("rsp", text)
        buffer = gdb.Value(text).cast(gdb.lookup_type("char").pointer())
        gdb.parse_and_eval("vm_explain")(root, address, access, buffer, LINE_BYTES)
        return string(buffer)
    finally:
        for name in ("ss", "cs", "gs_base", "rsp", "eflags"):
            set_register(name, saved[name])
        for point in breakpoints:
            point.enabled = True


def print_explanation(address, access):
    """Prints it, or why it cannot be had here."""
    root = root_of_process()
    if root is None:
        print("no process yet: there is no map to explain")
        return
    stack = number("$rsp")
    if not number("$cs") & 3 and not (KERNEL_START <= stack < KERNEL_END or DYNAMIC_START <= stack < DYNAMIC_END):
        print("the kernel is not on its own stack here: step on a few instructions")
        return
    lock = held_lock(root, address)
    if lock:
        print("%s is held here: go on to where it is not (finish), or look with vm maps and vm walk" % lock)
        return
    print(call_explain(root, address, access))


# ---- The commands ----------------------------------------------------------------------------------


class Vm(gdb.Command):
    """Looks at Phoenix's virtual memory: vm maps, vm explain, vm page, vm walk."""

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


class VmExplain(gdb.Command):
    """vm explain ADDRESS [r|w|x]: what an access of the process that runs would meet, and do; a read unless told."""

    def __init__(self):
        super().__init__("vm explain", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        access = words[1] if len(words) > 1 else "r"
        if not 1 <= len(words) <= 2 or access not in ACCESSES:
            raise gdb.GdbError("vm explain ADDRESS [r|w|x]")
        print_explanation(number(words[0]), ACCESSES[access])


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
VmExplain()
VmPage()
VmWalk()
gdb.execute("alias phoenix = vm")
