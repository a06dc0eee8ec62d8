"""The process that draws: an SVG on its standard input, RGBA pixels on its standard output.

    python -m dandyroll.imaging.draw_svg CPU_SECONDS

What it reads was written by `readers.svg`, so it refers to nothing outside itself; were it to,
librsvg would find no base to look from. Its limits are the kernel's: CPU, memory, no files.
"""

import resource
import sys

MAX_MEMORY_BYTES = 1 << 30  # of address space, of which libraries take a third


def main(cpu_s: int) -> None:
    text = sys.stdin.buffer.read()
    from dandyroll.imaging.vips import pyvips

    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pyvips.operation_block_set("VipsForeignLoadSvg", False)
    pixels = pyvips.Image.svgload_buffer(text)
    sys.stdout.buffer.write(pixels.write_to_memory())


if __name__ == "__main__":
    main(int(sys.argv[1]))
