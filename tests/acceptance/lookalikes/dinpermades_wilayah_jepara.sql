/*
LOOK-ALIKE FOR TESTS
================================================================================
filename : wilayah.sql
purpose  :
note     : Data Kode Wilayah sesuai Kepmendagri No 300.2.2-2138 Tahun 2025;
           the names of villages are invented
create   : 2026-01-05 09:00:00
last edit: 2026-01-06 09:00:00
================================================================================*/
--
-- Table structure for table wilayah
--

DROP TABLE IF EXISTS wilayah;
CREATE TABLE IF NOT EXISTS wilayah (
    kode varchar(13) NOT NULL,
    nama varchar(100) NOT NULL,
    PRIMARY KEY (kode)
) ENGINE=MyISAM;
CREATE INDEX wilayah_name_idx ON wilayah (nama);

--
-- Dumping data for table wilayah
--

INSERT INTO wilayah (kode, nama)
VALUES
('33','Jawa Tengah'),
('33.20','Kabupaten Jepara'),
('33.20.01','Kedung'),
('33.20.01.2001','Contohrejo'),
('33.20.01.2002','Rawa Contoh'),
('33.20.01.2003','Sumber Peraga'),
('33.20.05','Batealit'),
('33.20.05.2001','Bukit Peraga'),
('33.20.05.2002','Contohsari'),
('33.20.06','Jepara'),
('33.20.06.1001','Kota Contoh Lor'),
('33.20.06.1002','Kota Contoh Kidul'),
('33.20.06.1003','Pelabuhan Contoh'),
('33.20.06.2004','Pasir Peraga'),
('33.20.06.2005','Muara Contoh'),
('33.20.07','Mlonggo'),
('33.20.07.2001','Teluk Peraga'),
('33.20.07.2002','Contohan'),
('33.20.09','Keling'),
('33.20.09.2001','Lereng Contoh'),
('33.20.09.2002','Peragawangi'),
('33.20.10','Karimunjawa'),
('33.20.10.2001','Pulau Contoh'),
('33.20.10.2002','Karang Peraga'),
('33.20.10.2003','Layar Contoh'),
('33.20.11','Tahunan'),
('33.20.11.2001','Ukir Contoh'),
('33.20.11.2002','Jati Peraga'),
('33.20.15','Pakis Aji'),
('33.20.15.2001','Pakis Contoh'),
('33.20.15.2002','Embun Peraga'),
('33.20.16','Donorojo'),
('33.20.16.2001','Benteng Contoh'),
('33.20.16.2002','Ujung Peraga');
