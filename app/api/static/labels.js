// Indonesian labels of Swagger UI and Redoc. Only their own elements are touched: texts of the document and data are none of theirs.
const WORDS = {
  "Authorize": "Otorisasi", "Available authorizations": "Otorisasi yang tersedia", "Authorized": "Telah diotorisasi", "Logout": "Keluar",
  "Close": "Tutup", "Value:": "Nilai:", "Flow:": "Alur:", "Token URL:": "URL token:", "Scopes:": "Cakupan:", "Name:": "Nama:", "In:": "Di:",
  "select all": "pilih semua", "select none": "kosongkan pilihan",
  "Scopes are used to grant an application different levels of access to data on behalf of the end user. Each API may declare one or more scopes.":
    "Cakupan memberi aplikasi tingkat akses yang berbeda ke data atas nama pengguna. Setiap API dapat menetapkan satu cakupan atau lebih.",
  "API requires the following scopes. Select which ones you want to grant to Swagger UI.":
    "API memerlukan cakupan berikut. Pilih yang ingin diberikan kepada Swagger UI.",
  "Servers": "Server", "Computed URL:": "URL hasil:", "Server variables": "Variabel server", "- Website": "- Situs web", "Website": "Situs web",
  "Terms of service": "Ketentuan layanan", "Find more details": "Selengkapnya", "No operations defined in spec!": "Tidak ada operasi.",
  "Try it out": "Coba", "Cancel": "Batal", "Reset": "Atur ulang", "Execute": "Jalankan", "Clear": "Bersihkan", "Loading...": "Memuat…",
  "Loading": "Memuat", "Loading ...": "Memuat…", "Errors": "Kesalahan", "Hide": "Sembunyikan", "Show": "Tampilkan",
  "Please correct the following validation errors and try again.": "Perbaiki kesalahan berikut, lalu coba lagi.",
  "Required field is not provided": "Isian wajib belum diisi",
  "Parameters": "Parameter", "No parameters": "Tanpa parameter", "Name": "Nama", "Description": "Uraian", "Type": "Jenis",
  "Available values": "Nilai yang tersedia", "Default value": "Nilai bawaan", "Example": "Contoh", "Examples": "Contoh", "Examples:": "Contoh:",
  "Send empty value": "Kirim nilai kosong", "Request body": "Isi permintaan", "Edit Value": "Ubah nilai", "Example Value": "Contoh nilai",
  "Example Description": "Uraian contoh", "Schema": "Skema", "Parameter content type": "Jenis isi parameter",
  "Responses": "Jawaban", "Code": "Kode", "Details": "Rincian", "Links": "Tautan", "No links": "Tanpa tautan", "Media type": "Jenis media",
  "Controls": "Mengatur header", "header.": "ini.", "Headers:": "Header:", "Request URL": "URL permintaan", "Undocumented": "Tidak didokumentasikan",
  "Server response": "Jawaban server", "Response body": "Isi jawaban", "Response headers": "Header jawaban",
  "Request duration": "Lama permintaan", "Download": "Unduh", "Download file": "Unduh berkas", "Error:": "Kesalahan:", "Error": "Kesalahan",
  "Warning: Deprecated": "Peringatan: tidak dipakai lagi", "deprecated": "tidak dipakai lagi", "Deprecated": "Tidak dipakai lagi",
  "Unrecognized response type; displaying content as text.": "Jenis jawaban tidak dikenal; isinya ditampilkan sebagai teks.",
  "Unrecognized response type; unable to display.": "Jenis jawaban tidak dikenal; tidak dapat ditampilkan.",
  "Expand all": "Buka semua", "Collapse all": "Lipat semua", "Any of": "Salah satu atau lebih dari", "One of": "Salah satu dari",
  "All of": "Semua dari", "Items": "Butir", "Additional properties": "Anggota lain", "Property names": "Nama anggota", "Enum": "Pilihan",
  "Default": "Bawaan", "Const": "Tetap", "read-only": "hanya dibaca", "write-only": "hanya ditulis",
  "required": "wajib", "Copy": "Salin", "Copied": "Tersalin", "Authorizations:": "Otorisasi:", "Payload": "Isi", "Content type": "Jenis isi",
  "Request Body schema:": "Skema isi permintaan:", "Response Schema:": "Skema jawaban:", "Response Headers": "Header jawaban",
  "License:": "Lisensi:", "E-mail:": "Surel:", "Terms of Service": "Ketentuan layanan", "None": "Tidak ada",
  "Security Scheme Type:": "Jenis pengamanan:", "HTTP Authorization Scheme:": "Skema otorisasi HTTP:", "Bearer format:": "Bentuk bearer:",
  "Flow type:": "Jenis alur:", "Required scopes:": "Cakupan wajib:", "Show pattern": "Tampilkan pola", "Hide pattern": "Sembunyikan pola",
  "No sample": "Tanpa contoh", "non-empty": "tidak kosong", "unique": "tanpa kembar", "property name*": "nama anggota*",
  "additional property": "anggota lain", "API docs by Redocly": "Dibuat dengan Redocly",
  "Filter by tag or path": "Saring menurut kelompok atau jalur", "Search...": "Cari…", "Search": "Cari", "Expand operation": "Buka operasi",
  "Collapse operation": "Lipat operasi", "Copy path to clipboard": "Salin jalur", "Copy to clipboard": "Salin",
  "Apply credentials": "Pakai kredensial", "Apply given OAuth2 credentials": "Pakai kredensial OAuth2", "Remove authorization": "Hapus otorisasi",
  "authorization button locked": "otorisasi: sudah", "authorization button unlocked": "otorisasi: belum",
};
const FORMS = [
  [/^(.*\d\]?) characters$/, "$1 karakter"],
  [/^(.*\d\]?) items$/, "$1 butir"],
  [/^(.*\d\]?) properties$/, "$1 anggota"],
  [/^(\[ .*\]) characters$/, "$1 karakter"],
  [/^(\[ .*\]) items$/, "$1 butir"],
  [/^matches (.*)$/, "cocok dengan $1"],
  [/^\[ items$/, "[ butir"],
  [/^Send email to (.*)$/, "Kirim surel ke $1"],
];
// Where labels stand. A text of the document within such a place stands in one of the places behind.
const SWAGGER = [
  ".btn", ".tablinks", ".download-contents", ".opblock-section-header", ".responses-wrapper h4", ".responses-wrapper h5", ".errors-wrapper",
  ".opblock-body h4", ".opblock-body h5", "th", ".responses-header", ".response-control-media-type", ".response-undocumented",
  ".response-col_links > i", ".headers-wrapper h4", ".parameters-col_description p > i", ".parameter__empty_value_toggle",
  ".opblock-description-wrapper > p", ".opblock-title_normal", ".opblock-title", ".auth-container", ".modal-ux-header", ".scope-def",
  ".servers-title", ".servers label", ".info__contact a", ".info__license", ".loading-container", ".examples-select", ".example__section-header",
  ".json-schema-2020-12-expand-deep-button", ".json-schema-2020-12__constraint", ".json-schema-2020-12-keyword__name",
  ".json-schema-2020-12__attribute--warning", ".json-schema-2020-12__attribute--muted", ".json-schema-2020-12-json-viewer__name--secondary",
  ".parameter__extension", ".request-url", ".curl-command > h4",
].join(",");
const SWAGGER_NOT = ".markdown, pre, code, textarea, option, .headerline, .microlight, .opblock-summary, .opblock-tag";
const REDOC_NOT = ".redoc-markdown, .redoc-json, pre, code, label, .property-name, [role=menuitem], h1, h2";
const ATTRIBUTES = ["placeholder", "title", "aria-label"];

/** The Indonesian of a label, or undefined. */
function indonesian(text) {
  const word = text.trim().replace(/\s+/g, " ");
  if (Object.hasOwn(WORDS, word)) return text.replace(text.trim(), () => WORDS[word]);
  for (const [form, made] of FORMS) if (form.test(word)) return word.replace(form, made);
  return undefined;
}

function textOf(node, isLabel) {
  const made = indonesian(node.data);
  if (made !== undefined && made !== node.data && isLabel(node.parentElement)) node.data = made;
}

function attributesOf(element) {
  for (const name of ATTRIBUTES) {
    const made = element.hasAttribute(name) ? indonesian(element.getAttribute(name)) : undefined;
    if (made !== undefined && made !== element.getAttribute(name)) element.setAttribute(name, made);
  }
}

function within(node, isLabel) {
  if (node.nodeType === Node.TEXT_NODE) {
    if (node.parentElement) textOf(node, isLabel);
    return;
  }
  if (node.nodeType !== Node.ELEMENT_NODE) return;
  attributesOf(node);
  const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  for (let found = walker.nextNode(); found; found = walker.nextNode()) {
    if (found.nodeType === Node.TEXT_NODE) textOf(found, isLabel);
    else attributesOf(found);
  }
}

function watch(root, isLabel) {
  new MutationObserver((changes) => {
    for (const change of changes) {
      if (change.type === "attributes") attributesOf(change.target);
      else if (change.type === "characterData") within(change.target, isLabel);
      else for (const added of change.addedNodes) within(added, isLabel);
    }
  }).observe(root, { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ATTRIBUTES });
}

const swaggerRoot = document.getElementById("swagger-ui");
const redocRoot = document.getElementById("redoc");
if (swaggerRoot) watch(swaggerRoot, (element) => element.closest(SWAGGER) !== null && element.closest(SWAGGER_NOT) === null);
if (redocRoot) watch(redocRoot, (element) => element.closest(REDOC_NOT) === null);

/** What Redoc lets be named by itself (`labels` of its settings). */
window.redocLabels = {
  enum: "Pilihan", enumSingleValue: "Nilai", enumArray: "Butir", default: "Bawaan", deprecated: "Tidak dipakai lagi", example: "Contoh",
  examples: "Contoh", recursive: "Berulang", arrayOf: "Larik ", webhook: "Peristiwa", const: "Nilai", noResultsFound: "Tidak ditemukan",
  download: "Unduh", downloadSpecification: "Unduh spesifikasi OpenAPI", responses: "Jawaban", callbackResponses: "Jawaban callback",
  requestSamples: "Contoh permintaan", responseSamples: "Contoh jawaban",
};
