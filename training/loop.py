"""The loop that steps 3 and 4 share: it can be cut off at any time, and goes on from its checkpoint.

What is drawn for a step depends on the seed and the step alone.
"""

import json
import time
from dataclasses import asdict

import numpy as np
import torch

# Seconds between two checkpoints.
N_SAVE_SECS = 240


def schedule(step, n_steps):
    """Rises for 2 %, stays, and falls to a tenth over the last 40 %."""
    warm = max(1, n_steps // 50)
    return min(1.0, (step + 1) / warm, max(0.1, (n_steps - step) / (0.4 * n_steps)))


def restore(saved, modules, tools, device):
    """Step and log of a checkpoint, whose weights are put in place; the beginning if there is none."""
    if not saved.exists():
        return 0, []
    state = torch.load(saved, map_location=device, weights_only=True)
    for name, module in modules.items():
        module.load_state_dict(state[name])
    for tool, values in zip(tools, state["optimizers"]):
        tool.load_state_dict(values)
    return state["step"], state["log"]


def train(saved, modules, tools, args, config, device, losses_of, measure, n_measure, about):
    """Trains to step `args.steps`.

    - `saved`: path of the checkpoint
    - `modules`: named modules, `tools`: their optimizers
    - `losses_of(rng)`: draws a batch, returns its losses by name; their sum is what falls
    - `measure()`: a dict of what is measured, every `n_measure` steps
    - `about`: what else the checkpoint tells
    """
    step, log = restore(saved, modules, tools, device)
    n_parameters = {name: sum(p.numel() for p in m.parameters()) for name, m in modules.items()}
    print(f"{n_parameters} parameters, from step {step} to {args.steps} on {device}", flush=True)

    def save():
        state = {name: module.state_dict() for name, module in modules.items()} | {
            "optimizers": [tool.state_dict() for tool in tools],
            "config": asdict(config),
            "step": step,
            "log": log,
            "args": {k: v for k, v in vars(args).items() if k != "out"},
        }
        torch.save(state | about, saved.with_suffix(".new"))
        saved.with_suffix(".new").replace(saved)

    parameters = [p for module in modules.values() for p in module.parameters()]
    started, last_saved, first, mean = time.time(), time.time(), step, {}
    while step < args.steps:
        rng = np.random.default_rng([args.seed, step])
        torch.manual_seed(args.seed * 1_000_003 + step)
        for tool in tools:
            for group in tool.param_groups:
                group["lr"] = args.lr * schedule(step, args.steps)
        losses = losses_of(rng)
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for tool in tools:
            tool.step()
            tool.zero_grad(set_to_none=True)
        step += 1
        for name, loss in losses.items():
            mean[name] = 0.95 * mean.get(name, loss.item()) + 0.05 * loss.item()
        if step % 20 == 0:
            rate = (step - first) * args.streams * args.tokens / (time.time() - started)
            means = "  ".join(f"{name} {value:.4f}" for name, value in mean.items())
            print(f"step {step}  {means}  {rate:.0f} tokens/s", flush=True)
        if step % n_measure == 0 or step == args.steps:
            for module in modules.values():
                module.eval()
            with torch.no_grad():
                log.append({"step": step, "tokens": step * args.streams * args.tokens} | measure())
            for module in modules.values():
                module.train()
            print(json.dumps(log[-1]), flush=True)
        if time.time() - last_saved > N_SAVE_SECS or step == args.steps:
            save()
            last_saved = time.time()
