#!/usr/bin/env python3
"""Times the U-Net in PyTorch on the CPU: forward pass or training step, batch 1.

Variants: `plain` is NCHW; `channels_last` is NHWC; `frozen` (forward only) is traced, frozen and optimised for
inference, which keeps oneDNN's blocked layouts between layers; `compile` is torch.compile, for PyTorch 2 and later.
bf16: a training step uses autocast; a forward pass converts the weights once, but on PyTorch 1, whose bf16
up-convolution rejects its own filters, it uses autocast too.
"""

import torch
import torch.nn.functional as F

import peer


class ConvPair(torch.nn.Module):
    def __init__(self, inputs, outputs, dropout=0.0):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(inputs, outputs, 3)
        self.conv2 = torch.nn.Conv2d(outputs, outputs, 3)
        self.dropout = torch.nn.Dropout(dropout) if dropout else None

    def forward(self, x):
        x = F.relu(self.conv1(x), inplace=True)
        x = F.relu(self.conv2(x), inplace=True)
        return self.dropout(x) if self.dropout else x


class Decoder(torch.nn.Module):
    def __init__(self, inputs, up, outputs, relu_up):
        super().__init__()
        self.up = torch.nn.ConvTranspose2d(inputs, up, 2, stride=2)
        self.conv1 = torch.nn.Conv2d(up + outputs, outputs, 3)
        self.conv2 = torch.nn.Conv2d(outputs, outputs, 3)
        self.relu_up = relu_up

    def forward(self, x, skip):
        x = self.up(x)
        if self.relu_up:
            x = F.relu(x, inplace=True)
        height, width = x.shape[2:]
        top, left = (skip.shape[2] - height) // 2, (skip.shape[3] - width) // 2
        x = torch.cat([x, skip[:, :, top : top + height, left : left + width]], dim=1)
        x = F.relu(self.conv1(x), inplace=True)
        return F.relu(self.conv2(x), inplace=True)


class UNet(torch.nn.Module):
    """Ronneberger et al. 2015, figure 1; dropout 0.5 at the end of the contracting path while training."""

    def __init__(self, width=64, depth=4, wiring="paper", classes=2):
        super().__init__()
        channels = [width << level for level in range(depth + 1)]
        inputs = [1] + channels[:-1]
        self.encoder = torch.nn.ModuleList(
            ConvPair(inputs[i], channels[i], 0.5 if i == depth - 1 else 0.0) for i in range(depth))
        self.bottom = ConvPair(channels[-2], channels[-1], 0.5)
        release = wiring == "release"
        self.decoder = torch.nn.ModuleList(
            Decoder(channels[i + 1], 2 * width if release and i == 0 else channels[i], channels[i], release)
            for i in range(depth))
        self.head = torch.nn.Conv2d(width, classes, 1)

    def forward(self, x):
        skips = []
        for level in self.encoder:
            x = level(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottom(x)
        for level, skip in zip(reversed(self.decoder), reversed(skips)):
            x = level(x, skip)
        return self.head(x)


def forward_runner(model, x, variant, precision):
    """A function that runs the forward pass once and returns logits."""
    model.eval()
    autocast = precision == "bf16" and torch.__version__.startswith("1.")
    dtype = torch.bfloat16 if precision == "bf16" and not autocast else torch.float32
    layout = torch.channels_last if variant == "channels_last" else torch.contiguous_format
    model, x = model.to(dtype=dtype, memory_format=layout), x.to(dtype=dtype, memory_format=layout)
    if variant == "frozen" and autocast:
        raise SystemExit("--variant frozen: expected --precision f32 on PyTorch 1, whose tracing of autocast fails")
    if variant == "frozen":
        with torch.no_grad():
            model = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, x)))
    if variant == "compile":
        from torch._inductor import config as inductor
        inductor.freezing = True
        model = torch.compile(model)

    def run():
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            return model(x)

    return run


def train_step_runner(model, x, variant, precision):
    """A function that runs forward, loss, backward and SGD once."""
    layout = torch.channels_last if variant == "channels_last" else torch.contiguous_format
    model, x = model.train().to(memory_format=layout), x.to(memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.99)
    if variant == "compile":
        model = torch.compile(model)
    side = x.shape[2] - 184
    labels = torch.randint(0, 2, (1, side, side))

    def run():
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits = model(x)
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    return run


def main():
    arguments = peer.parse_arguments(__doc__.split("\n")[0], modes=("forward", "train_step"),
                                     variants=("plain", "channels_last", "frozen", "compile"))
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    if arguments.check:
        shape, parameters, x, expected = peer.golden_network(arguments.check)
        model = UNet(**shape)
        model.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in parameters.items()})
        logits = forward_runner(model, torch.from_numpy(x), arguments.variant, arguments.precision)()
        peer.check(logits.float().numpy(), expected, arguments.precision)
        return
    x = torch.rand(1, 1, arguments.size, arguments.size)
    if arguments.mode == "train_step" and arguments.variant == "frozen":
        raise SystemExit("--variant frozen: expected --mode forward, for a frozen network does not train")
    make_runner = forward_runner if arguments.mode == "forward" else train_step_runner
    run = make_runner(UNet(arguments.width), x, arguments.variant, arguments.precision)
    peer.measure(run, arguments, "pytorch", torch.__version__)


if __name__ == "__main__":
    main()
