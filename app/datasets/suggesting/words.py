"""How alike the name of a raw column and a field of a schema are: the same words after abbreviations and English are resolved.

Lives here: the words that offices use for one thing. What the values say has its own file (`trying.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from app.schemas.base import FieldSpec
from app.schemas.registry import SchemaDef

_SAME: Mapping[str, str] = {
    "akun": "account rekening",
    "alamat": "address almt jalan jln street",
    "anggaran": "budget pagu alokasi",
    "bangsal": "ward",
    "batas": "cutoff boundary",
    "belanja": "expenditure spending pengeluaran",
    "bentuk": "form jenjang",
    "bujur": "longitude long lon lng x bt",
    "bulan": "month bln masa",
    "buka": "open opening operasional",
    "dasar": "basis basic",
    "desa": "village kelurahan kel",
    "deskripsi": "description keterangan uraian",
    "dirasakan": "felt",
    "fasilitas": "facility facilities amenities faskes fasyankes",
    "format": "mimetype",
    "geometri": "geometry geom poligon polygon path wkt geojson shape batas",
    "harga": "price hrg tarif biaya",
    "indikator": "indicator variabel",
    "induk": "parent",
    "jam": "hour hours pukul",
    "jenis": "type kind tipe kategori category klasifikasi golongan",
    "judul": "title",
    "jumlah": "jml count total banyaknya",
    "kabupaten": "kab regency kota city kabkota",
    "kecamatan": "kec district",
    "kedalaman": "depth",
    "kelas": "class",
    "kepala": "head",
    "kepemilikan": "ownership kepemilikan",
    "kode": "code kd no nomor id num number pengenal identifier idn uid",
    "komoditas": "commodity komoditi barang",
    "kontak": "contact",
    "lahir": "birth",
    "lembaga": "instansi organization organisation organisasi org institution",
    "lintang": "latitude lat y ls",
    "lisensi": "license licence",
    "luas": "area",
    "magnitudo": "magnitude mag",
    "nama": "name nm namanya",
    "nilai": "value nil angka",
    "padanan": "crosswalk",
    "pasar": "market",
    "pembiayaan": "financing",
    "pemda": "government pemerintah daerah",
    "pendapatan": "revenue income",
    "pengelola": "manager",
    "penduduk": "population residents warga",
    "provinsi": "prov province propinsi",
    "puskesmas": "pkm",
    "rawat": "inpatient",
    "realisasi": "realised realized realization",
    "sakit": "hospital rs rsu rsud",
    "sekolah": "school",
    "siswa": "pupils students murid peserta",
    "skala": "scale",
    "sumber": "source",
    "tanggal": "date tgl",
    "satuan": "unit",
    "sumberdaya": "resources",
    "tahun": "year thn thang",
    "telepon": "phone telp tlp telephone hp notelp",
    "tiket": "ticket htm",
    "tingkat": "level",
    "ukuran": "size",
    "url": "link tautan address",
    "waktu": "time datetime timestamp",
    "wilayah": "region regional",
    "wisata": "tourism destination destinasi",
}
_CANON: Mapping[str, str] = {word: name for name, words in _SAME.items() for word in (name, *words.split())}
_TOGETHER: Mapping[str, str] = {
    "sumber daya": "sumberdaya",
    "rumah sakit": "sakit",
    "titik koordinat": "koordinat",
    "jml": "jumlah",
    "cut off": "batas",
}
_ALSO: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "kode", "no", "nomor", "uuid", "gid", "fid"),
    "lisensi": ("lisensi", "id lisensi"),
    "lat": ("lintang", "y", "koordinat lintang"),
    "lng": ("bujur", "x", "koordinat bujur"),
    "nama": ("nama", "name", "uraian"),
    "npsn": ("npsn", "nomor pokok sekolah"),
    "nik": ("nik", "no ktp", "nomor induk kependudukan"),
    "kode_faskes": ("kode faskes", "kode", "kode fasilitas", "id", "kode rs", "no registrasi"),
    "kode_wilayah": (
        "kode wilayah",
        "wilayah",
        "kecamatan",
        "desa",
        "kabupaten",
        "kode desa",
        "kode kecamatan",
        "kode kabupaten",
        "kode bps",
        "kode kemendagri",
        "provinsi",
        "kode provinsi",
    ),
    "kode_pemda": ("kode pemda", "pemda", "nama pemda", "nama daerah", "kode daerah"),
    "kode": ("kode", "kode wilayah", "kode kemendagri"),
    "kode_asal": ("kode asal", "kode bps", "kode"),
    "nama_asal": ("nama asal", "nama", "nama wilayah"),
    "kode_indikator": ("kode indikator", "indikator", "nama indikator", "variabel"),
    "jenis": ("jenis", "kategori", "tipe", "jenis bencana", "kejadian", "bencana"),
    "jam_buka": ("jam buka", "waktu buka", "jam operasional"),
    "harga_tiket": ("harga tiket", "tiket", "tiket masuk", "harga masuk", "tarif masuk", "htm"),
    "pengelola_lembaga": ("lembaga pengelola", "pengelola"),
    "status_kepemilikan": ("status kepemilikan", "kepemilikan"),
    "status_operasi": ("status operasi", "status operasional"),
    "harga": ("harga", "nilai", "harga eceran"),
    "kedalaman_km": ("kedalaman", "depth"),
    "wilayah_teks": ("wilayah", "lokasi", "tempat", "area", "lokasi kejadian"),
    "waktu": ("waktu", "waktu kejadian", "tanggal", "tanggal kejadian", "tanggal waktu"),
    "tanggal_batas": ("tanggal batas", "tanggal cutoff", "tanggal posisi", "per tanggal"),
    "kode_akun": ("kode akun", "akun", "kode rekening"),
    "org": ("organisasi", "lembaga", "judul organisasi", "opd", "instansi", "produsen data"),
    "bentuk": ("bentuk", "bentuk pendidikan", "jenjang"),
    "jumlah_siswa": ("jumlah siswa", "siswa", "jumlah peserta didik", "pd"),
    "judul": ("judul", "nama dataset", "nama"),
    "geometri": ("geometri", "poligon", "batas", "koordinat"),
    "luas_km2": ("luas", "luas wilayah"),
    "format_tercantum": ("format",),
    "format_terdeteksi": ("detected format",),
    "telepon": ("telepon", "no telepon", "nomor telepon", "kontak"),
    "produsen": ("produsen", "sumber", "produsen data"),
    "email_kontak": ("email", "surel", "email kontak"),
}
_NOUNS: Mapping[str, frozenset[str]] = {
    "fasilitas_kesehatan": frozenset({"sakit", "rumah", "puskesmas", "klinik", "posyandu"}),
    "satuan_pendidikan": frozenset({"sekolah", "madrasah"}),
    "destinasi_wisata": frozenset({"objek", "daya", "tarik"}),
    "kejadian_bencana": frozenset({"gempa"}),
    "realisasi_apbd": frozenset({"anggaran"}),
    "metadata_dataset": frozenset({"dataset", "package"}),
}
"""What records of a schema are called besides its own name."""
_ALIAS_COUNTS, _NAME_COUNTS = 0.9, 0.96
_NO_MATTER = frozenset({"ln", "dan", "atau", "of", "the", "data", "luar", "negara", "per", "menurut"})
_UNIT = re.compile(r"[(\[]([^)\]]*)[)\]]")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def plain_words(name: str) -> tuple[str, ...]:
    """The words of a name, lower case: `NamaPuskesmas`, `nama_puskesmas`, `Nama Puskesmas (2019)` begin alike."""
    bare = _CAMEL.sub(" ", _UNIT.sub(" ", name) if _UNIT.sub("", name).strip() else name)
    return tuple(re.findall(r"[a-z]+|\d+", bare.lower()))


def unit_of(name: str) -> str | None:
    """What stands in brackets in a header: `Luas (ha)` has `ha`."""
    found = _UNIT.search(name)
    return found[1].strip() or None if found else None


@lru_cache(maxsize=4096)
def concepts(name: str) -> frozenset[str]:
    """The words of a name under one name each: `Alamat`, `address` and `almt` are one."""
    text = " ".join(plain_words(name))
    for written, meant in _TOGETHER.items():
        text = re.sub(rf"\b{written}\b", meant, text)
    return frozenset(_CANON.get(word, word) for word in text.split() if word not in _NO_MATTER)


def alike(column: str, spec: FieldSpec, schema: SchemaDef) -> float:
    """How far the name of a raw column says this field, 0 to 1. Words of the schema's own name count for little.

    Of a name with alternatives (`Desa/Kelurahan`) the best counts.
    """
    if _bare(column) == _bare(spec.name):
        return 1.0
    own = concepts(schema.name) | concepts(schema.meta.title_id) | _NOUNS.get(schema.name, frozenset())
    best = 0.0
    for part in {column, *column.split("/")}:
        given = concepts(part)
        for name in (spec.name, spec.title_id, spec.title_en):
            best = max(best, _NAME_COUNTS * _overlap(given, concepts(name), own))
        for name in _ALSO.get(spec.name, ()):
            best = max(best, _ALIAS_COUNTS * _overlap(given, concepts(name), own))
    return round(best, 3)


def _overlap(given: frozenset[str], wanted: frozenset[str], own: frozenset[str]) -> float:
    """Share of the words that both have; the schema's own words weigh a fifth, numbers in a name nothing."""

    def weight(words: Iterable[str]) -> float:
        return sum(0.2 if word in own and word not in wanted else 0.05 if word.isdigit() else 1.0 for word in words)

    most = weight(given | wanted)
    return weight(given & wanted) / most if most else 0.0


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
