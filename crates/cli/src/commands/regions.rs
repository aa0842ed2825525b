//! `braintune regions`: an atlas and the voxels of a participant become the regions `encode` takes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use braintune::fmri::{
    Gifti, LabelTable, NiftiFile, ParcelLists, Parcellation, SurfaceMapper, VoxelMask, VoxelOrder,
    hcp_regions, read_annot,
};
use clap::ValueEnum;

use super::check_output;

/// Regions of interest of a participant from an atlas, as the JSON that encode --rois takes.
///
/// An atlas is a volume of labels on the participant's own grid (NIfTI, with --names and --mask), or
/// labels of the vertices of a surface (FreeSurfer .annot or GIFTI .label.gii, left then right
/// hemisphere) with a --mapper that says which voxels are below which vertices: a voxel belongs to the
/// parcel in which more than half of its weight lies. Every parcel is a region, or with --presets the
/// regions of the papers, from the parcels of HCP-MMP1 (Glasser et al. 2016) by name.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Label volume (.nii, .nii.gz), or surface labels of both hemispheres (.annot, .gii), left first
    #[arg(long, value_name = "FILE", value_delimiter = ',', required = true)]
    labels: Vec<PathBuf>,
    /// Names of a volume's labels: JSON {"1": "name"}, FreeSurfer's colour table, or BIDS dseg.tsv
    #[arg(long, value_name = "FILE", requires = "mask")]
    names: Option<PathBuf>,
    /// NIfTI mask of the voxels that the responses have
    #[arg(
        long,
        value_name = "FILE",
        requires = "names",
        conflicts_with = "mapper"
    )]
    mask: Option<PathBuf>,
    /// How the responses number the voxels of the mask
    #[arg(long, value_enum, default_value = "nilearn", requires = "mask")]
    order: Order,
    /// HDF5 with a sparse matrix of vertices x voxels, as pycortex's mappers are stored
    #[arg(long, value_name = "FILE")]
    mapper: Option<PathBuf>,
    /// Name of the matrix in --mapper
    #[arg(long, value_name = "NAME", default_value = "voxel_to_fsaverage")]
    mapper_name: String,
    /// The papers' regions in place of single parcels
    #[arg(long, value_enum)]
    presets: Option<Presets>,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Order {
    /// The last axis changes fastest, as in NumPy's img[mask] and nilearn
    Nilearn,
    /// The first axis changes fastest, as in pycortex and ds003020
    Pycortex,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Presets {
    /// The parcels of table 1 of Moussa & Toneva 2025 (NeurIPS)
    Paper,
    /// Those of the code that came with it
    Code,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let inputs = args.labels.iter().chain(&args.names).chain(&args.mask);
    check_output(&args.out, &inputs.chain(&args.mapper).collect::<Vec<_>>())?;
    let parcels = match (&args.mask, &args.names, &args.mapper) {
        (Some(mask), Some(names), _) => of_volume(args, mask, names)?,
        (_, _, Some(mapper)) => of_surface(args, mapper)?,
        _ => bail!(
            "give --names and --mask for a volume of labels, or --mapper for labels of a surface"
        ),
    };
    let regions = match args.presets {
        None => parcels.regions()?,
        Some(Presets::Paper) => hcp_regions(&parcels, ParcelLists::Paper)?,
        Some(Presets::Code) => hcp_regions(&parcels, ParcelLists::Code)?,
    };
    if regions.names().next().is_none() {
        bail!("no voxel lies in any parcel: are labels and voxels of the same participant?");
    }
    regions.write(&args.out)?;
    for (name, voxels) in regions.iter() {
        say!("{name}: {} voxels", voxels.len());
    }
    say!("wrote {}", args.out.display());
    Ok(ExitCode::SUCCESS)
}

fn of_volume(args: &Args, mask: &Path, names: &Path) -> anyhow::Result<Parcellation> {
    let [labels] = &args.labels[..] else {
        bail!(
            "--mask takes one volume of labels, got {} files",
            args.labels.len()
        );
    };
    let order = match args.order {
        Order::Nilearn => VoxelOrder::LastAxisFastest,
        Order::Pycortex => VoxelOrder::FirstAxisFastest,
    };
    let mask = VoxelMask::read(mask, order)?;
    let names = LabelTable::read(names)?;
    Ok(Parcellation::of_volume(
        &NiftiFile::open(labels)?,
        &names,
        &mask,
    )?)
}

fn of_surface(args: &Args, mapper: &Path) -> anyhow::Result<Parcellation> {
    let mapper = SurfaceMapper::open(mapper, &args.mapper_name)?;
    let hemispheres = args.labels.iter().map(|path| surface_labels(path));
    let joined = hemispheres.reduce(|left, right| Ok(Parcellation::join(left?, right?)?));
    let parcels = joined.context("no file of labels")??;
    Ok(mapper.to_voxels(&parcels)?)
}

fn surface_labels(path: &Path) -> anyhow::Result<Parcellation> {
    let extension = path.extension().unwrap_or_default();
    if extension == "annot" {
        Ok(read_annot(path)?)
    } else if extension == "gii" {
        Ok(Gifti::read(path)?.parcellation()?)
    } else {
        bail!(
            "{} is no .annot and no .gii, which --mapper goes with; for a volume give --names and --mask",
            path.display()
        )
    }
}
