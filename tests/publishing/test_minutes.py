"""The study in five minutes: every finding is a sentence and a figure of the kept tables."""

from brainseg.publishing import minutes


def test_each_question_has_its_answer_and_figure(tmp_path):
    (tmp_path / "minutes.md").write_text(minutes.MARK)
    minutes.fill_minutes(tmp_path)
    assert {path.stem for path in (tmp_path / "images").iterdir()} == {f"minutes-{name}" for name in minutes.FINDINGS}
    assert "No tables are kept yet." not in (tmp_path / "minutes.md").read_text()


def test_a_question_without_tables_says_so(tmp_path, monkeypatch):
    (tmp_path / "minutes.md").write_text(f"# Title\n\n{minutes.MARK}\n")
    monkeypatch.setattr(minutes, "has_tables", lambda study: study != "claims")
    minutes.fill_minutes(tmp_path)
    text = (tmp_path / "minutes.md").read_text()
    assert minutes.MARK not in text and text.count("\n## ") == len(minutes.FINDINGS)
    pictures = sorted(path.stem for path in (tmp_path / "images").iterdir())
    assert pictures == sorted(f"minutes-{name}" for name in minutes.FINDINGS if name != "contrast")
    assert text.count("No tables are kept yet.") == 1 and "has the highest mean" in text
    assert text.index("The better one of U-Net and ResUNet") < text.index("## Which network is best?")
