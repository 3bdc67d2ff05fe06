"""Several processes that train one network, one for each GPU, where a launcher has started them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from torch import Tensor, nn

from tagdesk.arrays import IntArray
from tagdesk.errors import MissingExtra
from tagdesk.launched import are_several

if TYPE_CHECKING:
    import torch


class Company(Protocol):
    """What the training loop needs to know of the processes that train with it."""

    count: int
    index: int

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network as it is to be called, so that all processes learn the same from a step."""
        ...

    def backward(self, loss: Tensor) -> None:
        """Gradients of the loss, the mean over all processes."""
        ...


class Alone:
    """The one process, as usual."""

    count = 1
    index = 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network itself."""
        return network

    def backward(self, loss: Tensor) -> None:
        """Gradients of the loss."""
        loss.backward()  # type: ignore[no-untyped-call] # torch's


class Together:
    """One of several processes; Accelerate lets them agree."""

    def __init__(self, device: torch.device) -> None:
        try:
            from accelerate import Accelerator  # type: ignore[import-untyped] # noqa: PLC0415 - one does without it
        except ImportError as error:
            raise MissingExtra("Training in several processes", "train") from error
        self._accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision="no")  # the loop sees to precision
        self.count = self._accelerator.num_processes
        self.index = self._accelerator.process_index

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network, whose gradients are shared out."""
        wrapped: nn.Module = self._accelerator.prepare(network)
        return wrapped

    def backward(self, loss: Tensor) -> None:
        """Gradients of the loss, the mean over all processes."""
        self._accelerator.backward(loss)


def company(device: torch.device) -> Company:
    """Who trains: this process alone, or with others that were launched together."""
    return Together(device) if are_several() else Alone()


def share_of(rows: IntArray, company: Company) -> tuple[IntArray, float]:
    """The rows of a batch that this process reads, and what its mean loss weighs in the mean over the processes.

    Weighed so, the gradient is that of one process that reads the whole batch.

    >>> class Second(Alone):
    ...     count, index = 2, 1
    >>> import numpy as np
    >>> share_of(np.array([7, 8, 9]), Second())
    (array([8]), 0.6666666666666666)
    """
    mine = rows[company.index :: company.count]
    if len(rows) < company.count:  # a rest that is too small to share out: all read all of it
        return rows, 1.0
    return mine, len(mine) * company.count / len(rows)
