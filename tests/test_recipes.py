"""The recipes on made-up photographs: they train, resume to the same weights, fold, save and measure."""

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from helpers.images import save_image, to_pil
from helpers.nets import CourseNet, fold_batch_norms, load_weights
from helpers.recipes import coursenet, style, tiny_imagenet
from helpers.recipes.checkpoints import save_checkpoint
from helpers.recipes.measure import all_classes, share
from helpers.style import load_transform_net

WNIDS = ["n01", "n02", "n03"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three classes of flat colours with noise, in Tiny ImageNet's layout."""
    root, g = tmp_path_factory.mktemp("tiny"), torch.Generator().manual_seed(0)

    def picture(k):
        return to_pil(0.8 * F.one_hot(torch.tensor(k), 3).view(1, 3, 1, 1) + 0.2 * torch.rand(1, 3, 64, 64, generator=g))
    rows = []
    for k, wnid in enumerate(WNIDS):
        (root / "train" / wnid / "images").mkdir(parents=True)
        for i in range(8):
            picture(k).save(root / "train" / wnid / "images" / f"{wnid}_{i}.png")
    (root / "val/images").mkdir(parents=True)
    for i in range(6):
        picture(i % 3).save(root / f"val/images/val_{i}.png")
        rows.append(f"val_{i}.png\t{WNIDS[i % 3]}\t0\t0\t63\t63")
    (root / "val/val_annotations.txt").write_text("\n".join(rows) + "\n")
    (root / "wnids.txt").write_text("\n".join(WNIDS) + "\n")
    (root / "words.txt").write_text("n01\tred, crimson\nn02\tgreen\nn03\tblue\n")
    return root


@pytest.fixture
def options(data, tmp_path, monkeypatch):
    """Command-line options of a short run; scenes are grey, so that none must be rendered."""
    scenes = torch.full((8, 3, 64, 64), 128, dtype=torch.uint8), torch.arange(8)
    monkeypatch.setattr(coursenet, "training_scenes", lambda *_: scenes)
    return ["--data", str(data), "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out"), "--epochs", "2", "--batch", "16",
            "--lr", "0.01", "--scenes", "8"]


def test_reads_the_layout(data, tmp_path):
    images, labels, names = tiny_imagenet.read_train(data)
    assert images.shape == (24, 3, 64, 64) and images.dtype == torch.uint8
    assert labels.tolist() == [0] * 8 + [1] * 8 + [2] * 8 and names == ["red", "green", "blue"]
    assert images[0, 0].float().mean() > 200 > images[0, 1].float().mean()
    chosen = tmp_path / "classes.txt"
    chosen.write_text("n03\nn01\n")
    assert tiny_imagenet.read_train(data, chosen)[2] == ["blue", "red"]
    assert tiny_imagenet.read_val(data, chosen)[1].tolist() == [1, 0, 1, 0]


def test_a_folder_of_another_layout(tmp_path):
    with pytest.raises(SystemExit, match="expects the layout of Tiny ImageNet"):
        tiny_imagenet.read_train(tmp_path)


def test_download_without_a_network(tmp_path, monkeypatch):
    def offline(*_, **__):
        raise OSError("no route to host")
    monkeypatch.setattr("urllib.request.urlopen", offline)
    with pytest.raises(SystemExit, match="could not be downloaded.*--data"):
        tiny_imagenet.download(tmp_path)


def test_trains_and_saves(options, tmp_path, capsys):
    coursenet.main(options)
    net = load_weights(tmp_path / "out/coursenet.safetensors")
    assert net.classes == ["red", "green", "blue", *coursenet.SHAPES]
    assert net.facts["recipe"]["epochs"] == 2 and [row["epoch"] for row in net.facts["log"]] == [1, 2]
    assert capsys.readouterr().out.count("min left") == 2
    assert not any(str(tmp_path) in str(value) for value in net.facts.values())


@pytest.mark.parametrize("robust", [[], ["--robust", "--clean", "1"]])
def test_resuming_gives_the_same_weights(options, tmp_path, monkeypatch, robust):
    coursenet.main([*options, *robust, "--out", str(tmp_path / "whole"), "--work", str(tmp_path / "a")])
    accuracy, calls = coursenet.accuracy, []

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return accuracy(*args, **kwargs)
    monkeypatch.setattr(coursenet, "accuracy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        coursenet.main([*options, *robust])
    coursenet.main([*options, *robust, "--resume"])
    name = "coursenet-robust" if robust else "coursenet"
    whole, resumed = (load_weights(folder / f"{name}.safetensors") for folder in (tmp_path / "whole", tmp_path / "out"))
    assert len(calls) == 3      # the first epoch was not done again
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-3)


def test_an_interrupt_in_the_middle_of_an_epoch(options, tmp_path, monkeypatch, tries):
    """Training: an interrupt in the middle of an epoch, then --resume"""
    monkeypatch.setattr(coursenet, "fast", lambda *_, **__: nullcontext())      # bf16 would magnify roundings
    coursenet.main([*options, "--out", str(tmp_path / "whole"), "--work", str(tmp_path / "a")])
    whole = load_weights(tmp_path / "whole/coursenet.safetensors").state_dict()

    def interrupted(module, *_):
        seen.append(isinstance(module, CourseNet))
        if sum(seen) == 5:      # two steps and a look at the validation set are an epoch: this is the second step of the next
            raise KeyboardInterrupt
    seen, handle = [], torch.nn.modules.module.register_module_forward_hook(interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            coursenet.main(options)
    finally:
        handle.remove()
    assert not (tmp_path / "out/coursenet.safetensors").exists() and (tmp_path / "work/coursenet.pt").exists()
    coursenet.main([*options, "--resume"])
    resumed = load_weights(tmp_path / "out/coursenet.safetensors").state_dict()
    assert all(torch.allclose(whole[name], resumed[name], atol=1e-3) for name in whole)
    tries("the same weights as without it")


def test_two_processes(data, tmp_path):
    """The same script under torchrun, on two CPU processes."""
    work = tmp_path / "work"
    work.mkdir()
    torch.save((torch.full((8, 3, 64, 64), 128, dtype=torch.uint8), torch.arange(8)), work / "scenes-8.pt")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "helpers.recipes.coursenet",
               "--data", data, "--work", work, "--out", tmp_path / "out", "--epochs", "1", "--batch", "16", "--scenes", "8"]
    env = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(Path(coursenet.__file__).parents[2])}
    done = subprocess.run([str(c) for c in command], env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("epoch 1/1") == 1      # one of the two speaks
    assert load_weights(tmp_path / "out/coursenet.safetensors").fc8.out_features == 11


def test_folding_keeps_the_function():
    torch.manual_seed(0)
    net, x = CourseNet(["a", "b"], for_training=True), torch.rand(4, 3, 64, 64)
    for _ in range(3):
        net(x)              # gives the batch norms means and variances of their own
    net.eval()
    folded = fold_batch_norms(net)
    assert not [name for name, _ in folded.named_children() if name.startswith("bn")]
    with pytest.raises(ValueError, match="only batch norm"):
        fold_batch_norms(folded)
    assert torch.allclose(folded(x), net(x), atol=1e-5)


def test_the_attack_stays_in_its_ball_and_hurts(random_net, images):
    y = random_net(images).argmax(1)
    with torch.no_grad():
        before = F.cross_entropy(random_net(images), y)
    bad = coursenet.attack(random_net, images, y, epsilon=1.0, steps=5, step_size=0.5, generator=torch.Generator().manual_seed(0))
    assert ((bad - images).flatten(1).norm(dim=1) <= 1 + 1e-4).all() and bad.min() >= 0 and bad.max() <= 1
    assert F.cross_entropy(random_net(bad), y) > before


def test_augmentation_is_seeded_and_keeps_range_and_shape(images):
    a, b = (coursenet.augment(images, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(a, b) and a.shape == images.shape and 0 <= a.min() and a.max() <= 1
    flat = torch.full((2, 3, 64, 64), 0.3)
    assert torch.allclose(coursenet.augment(flat, torch.Generator().manual_seed(2)), flat)


def test_class_pictures_and_who_names_them(random_net):
    pictures = all_classes(random_net)
    assert pictures.shape == (10, 3, 64, 64)
    assert share(random_net, pictures, 10) == 1 and share(random_net, pictures, 1) > 0.5


def test_rendered_training_scenes_are_cached(tmp_path, monkeypatch):
    images, labels = coursenet.training_scenes(3, tmp_path)
    assert images.shape == (3, 3, 64, 64) and labels.tolist() == [0, 1, 2]
    monkeypatch.setattr(coursenet, "render_chunk", None)
    assert torch.equal(coursenet.training_scenes(3, tmp_path)[0], images)


# ---- style recipe ----

@pytest.fixture
def style_options(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for k in range(2):
        save_image(torch.rand(1, 3, 40 + 8 * k, 56, generator=torch.Generator().manual_seed(k)), folder / f"{k}.png")
    (folder / "notes.txt").write_text("no photograph")
    return ["--photos", str(folder), "--work", str(tmp_path / "work"), "--out", str(tmp_path / "style.safetensors"),
            "--styles", "waves", "dahlia", "--steps", "2", "--batch", "2", "--size", "32", "--every", "1"]


def weights(path):
    return load_transform_net(path).state_dict()


def test_two_steps(style_options, tmp_path, capsys):
    style.main(style_options)
    net = load_transform_net(tmp_path / "style.safetensors")
    assert net.styles == ["waves", "dahlia"] and [row["step"] for row in net.facts["log"]] == [1, 2]
    assert net.facts["recipe"]["size"] == 32 and "photos" not in str(net.facts)
    assert net(torch.rand(1, 3, 30, 41), "dahlia").shape == (1, 3, 30, 41)
    assert (tmp_path / "style.safetensors").stat().st_size < 4e6
    assert capsys.readouterr().out.count("min left") == 2


def test_resumes_to_the_same_weights(style_options, tmp_path, capsys, monkeypatch):
    style.main(style_options)
    whole = weights(tmp_path / "style.safetensors")

    def interrupted(*what):
        save_checkpoint(*what)
        raise KeyboardInterrupt
    style_options[style_options.index(str(tmp_path / "work"))] = str(tmp_path / "other")
    with monkeypatch.context() as m, pytest.raises(KeyboardInterrupt):      # right after the first step was kept
        m.setattr(style, "save_checkpoint", interrupted)
        style.main(style_options)
    (tmp_path / "style.safetensors").unlink()
    style.main([*style_options, "--resume"])
    assert "resumed after 1" in capsys.readouterr().out
    resumed = weights(tmp_path / "style.safetensors")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_run_can_be_cut_short_and_another_begin_with_its_weights(style_options, tmp_path, capsys):
    style.main([*style_options, "--until", "1"])
    assert [row["step"] for row in load_transform_net(tmp_path / "style.safetensors").facts["log"]] == [1]
    begun = torch.load(tmp_path / "work" / "style.pt", weights_only=True)["states"][0]
    start = ["--start", str(tmp_path / "work" / "style.pt"), "--work", str(tmp_path / "two")]
    args = style.arguments([*style_options, *start, "--lr", "1e-12"])
    second = style.train(args).state_dict()
    assert all(torch.allclose(begun[name], second[name], atol=1e-6) for name in begun)      # steps of no length


def test_crops_are_of_the_size_and_from_the_seed(style_options):
    args = style.arguments(style_options)
    images = style.read_photos(args.photos)
    assert images.shape == (2, 3, 256, 256) and images.dtype == torch.uint8
    first, again, other = (style.batch(images, args, torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert first.shape == (2, 3, 32, 32) and torch.equal(first, again) and not torch.equal(first, other)
    assert 0 <= first.min() and first.max() <= 1


def test_a_folder_without_photographs(tmp_path):
    with pytest.raises(SystemExit, match="holds no photograph"):
        style.read_photos(tmp_path)
